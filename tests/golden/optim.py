"""Several steps of each optimiser, with given gradients. Input "value" is [P], "gradients" and output "values" (after
every step) are [steps,P]; or, for clipping, two tensors with their gradients before and after."""
import torch

import common
from common import values

STEPS, SIZE = 6, 7
golden = common.Area(__file__)


def case(name, make, **attributes):
    golden.seed(name)
    value, gradients = values(SIZE), values(STEPS, SIZE)
    parameter = torch.nn.Parameter(value.double())
    optimizer = make([parameter], **{k: v for k, v in attributes.items() if k != "beta1" and k != "beta2"})
    after = []
    for gradient in gradients:
        parameter.grad = gradient.double()
        optimizer.step()
        after.append(parameter.detach().clone())
    golden.record(name, attributes, {"value": value, "gradients": gradients}, {"values": torch.stack(after)})


def adamw(parameters, beta1, beta2, **options):
    return torch.optim.AdamW(parameters, betas=(beta1, beta2), **options)


for momentum in [0.0, 0.9]:
    for weight_decay in [0.0, 0.1]:
        for dampening in [0.0, 0.25] if momentum else [0.0]:
            case(f"sgd momentum {momentum} decay {weight_decay} dampening {dampening}", torch.optim.SGD, lr=0.1,
                 momentum=momentum, weight_decay=weight_decay, dampening=dampening, nesterov=False)
        if momentum:
            case(f"sgd nesterov decay {weight_decay}", torch.optim.SGD, lr=0.1, momentum=momentum,
                 weight_decay=weight_decay, dampening=0.0, nesterov=True)

for beta1, beta2, eps, weight_decay in [(0.9, 0.999, 1e-8, 0.01), (0.9, 0.999, 1e-8, 0.0), (0.5, 0.9, 0.1, 0.3),
                                        (0.0, 0.99, 1e-3, 0.01)]:
    name = f"adamw beta1 {beta1} beta2 {beta2} eps {eps} decay {weight_decay}"
    make = lambda p, beta1=beta1, beta2=beta2, **o: adamw(p, beta1, beta2, **o)
    case(name, make, lr=0.01, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)


def adam(parameters, beta1, beta2, **options):
    return torch.optim.Adam(parameters, betas=(beta1, beta2), **options)


class Lamb:
    """Algorithm 2 of 1904.00962, line by line."""

    def __init__(self, parameters, lr, beta1, beta2, eps, weight_decay):
        self.x, self.lr, self.b1, self.b2, self.eps, self.decay = parameters[0], lr, beta1, beta2, eps, weight_decay
        self.m, self.v, self.t = torch.zeros_like(self.x), torch.zeros_like(self.x), 0

    @torch.no_grad()
    def step(self):
        self.t += 1
        g = self.x.grad
        self.m = self.b1 * self.m + (1 - self.b1) * g
        self.v = self.b2 * self.v + (1 - self.b2) * g * g
        m, v = self.m / (1 - self.b1 ** self.t), self.v / (1 - self.b2 ** self.t)
        r = m / (v.sqrt() + self.eps) + self.decay * self.x
        trust = self.x.norm() / r.norm() if self.x.norm() > 0 and r.norm() > 0 else 1
        self.x -= self.lr * trust * r


for beta1, beta2, eps, weight_decay in [(0.9, 0.999, 1e-8, 0.0), (0.9, 0.999, 1e-8, 0.1), (0.0, 0.9, 1e-3, 0.01)]:
    settings = f"beta1 {beta1} beta2 {beta2} eps {eps} decay {weight_decay}"
    for name, function in ("adam", adam), ("lamb", Lamb):
        make = lambda p, f=function, beta1=beta1, beta2=beta2, **o: f(p, beta1=beta1, beta2=beta2, **o)
        case(f"{name} {settings}", make, lr=0.01, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)
for momentum in [0.0, 0.9]:
    for centered in [False, True]:
        for weight_decay in [0.0, 0.1]:
            case(f"rmsprop momentum {momentum} centered {centered} decay {weight_decay}", torch.optim.RMSprop, lr=0.01,
                 alpha=0.9, eps=1e-4, momentum=momentum, centered=centered, weight_decay=weight_decay)


def clip(name, function, limit):
    golden.seed(name)
    a, b = values(2, 3), values(4)
    parameters = [torch.nn.Parameter(torch.zeros_like(t).double()) for t in (a, b)]
    for parameter, gradient in zip(parameters, (a, b)):
        parameter.grad = gradient.double()
    norm = function(parameters, limit)
    golden.record(name, {"limit": limit}, {"a": a, "b": b},
                  {"a": parameters[0].grad, "b": parameters[1].grad,
                   **({"norm": norm} if norm is not None else {})})


clip("clip norm", torch.nn.utils.clip_grad_norm_, 0.5)
clip("clip norm above", torch.nn.utils.clip_grad_norm_, 100.0)
clip("clip value", torch.nn.utils.clip_grad_value_, 0.7)
golden.write()
