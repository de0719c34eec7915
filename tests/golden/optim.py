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
