"""PyTorch's side of compare_torch: the protocol and the work of step.cc."""
import os
import sys
import time

import torch
from torch import nn
from torch.ao import quantization
from torch.nn import functional as F

BATCH = 128
WARM_UP = 5
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


class Shortcut(nn.Sequential):
    def __init__(self, i, o, stride):
        if i == o and stride == 1:
            super().__init__()
        else:
            super().__init__(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))


class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.shortcut = Shortcut(i, o, stride)
        self.add = nn.quantized.FloatFunctional()
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(self.add.add(y, self.shortcut(x)))


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.quant = quantization.QuantStub()
        self.conv = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        sizes = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
        self.body = nn.Sequential(*(Block(*size) for size in sizes))
        self.head = nn.Linear(64, 10)
        self.dequant = quantization.DeQuantStub()

    def forward(self, x):
        y = self.body(self.relu(self.bn(self.conv(self.quant(x)))))
        return self.dequant(self.head(F.adaptive_avg_pool2d(y, 1).flatten(1)))


def make_batch():
    torch.manual_seed(1)
    images = torch.randn(BATCH, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    return images, torch.arange(BATCH) % 10


def training(model):
    images, labels = make_batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    model.train()

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def inference(model):
    images, _ = make_batch()
    model.eval()

    def run():
        with torch.no_grad():
            model(images)

    return run


def float_model():
    torch.manual_seed(1)
    return ResNet20().to(memory_format=torch.channels_last)


def layers(model):
    """What a deployment fuses."""
    names = [["conv", "bn", "relu"]]
    for i, block in enumerate(model.body):
        names += [[f"body.{i}.conv1", f"body.{i}.bn1", f"body.{i}.relu1"], [f"body.{i}.conv2", f"body.{i}.bn2"]]
        if len(block.shortcut):
            names.append([f"body.{i}.shortcut.0", f"body.{i}.shortcut.1"])
    return names


def qat_model():
    """Eager FakeQuantize (not the fused kind), weights per channel."""
    model = float_model()
    model.train()
    quantization.fuse_modules_qat(model, layers(model), inplace=True)
    activation = quantization.FakeQuantize.with_args(
        observer=quantization.MovingAverageMinMaxObserver, quant_min=-128, quant_max=127, dtype=torch.qint8,
        qscheme=torch.per_tensor_symmetric)
    weight = quantization.FakeQuantize.with_args(
        observer=quantization.MovingAveragePerChannelMinMaxObserver, quant_min=-128, quant_max=127, dtype=torch.qint8,
        qscheme=torch.per_channel_symmetric, ch_axis=0)
    model.qconfig = quantization.QConfig(activation=activation, weight=weight)
    return quantization.prepare_qat(model, inplace=True).to(memory_format=torch.channels_last)


def validation():
    """The trained-for-quantisation model with frozen scales: what PyTorch calls fake-quantised evaluation."""
    model = qat_model()
    training(model)()
    model.apply(quantization.disable_observer)
    return inference(model)


def simulator():
    """The integer model of PyTorch's oneDNN engine."""
    torch.backends.quantized.engine = "onednn"
    model = float_model().eval()
    quantization.fuse_modules(model, layers(model), inplace=True)
    model.qconfig = quantization.get_default_qconfig("onednn")
    quantization.prepare(model, inplace=True)
    inference(model)()
    return inference(quantization.convert(model, inplace=True))


# Single operations, as step.cc has them; True: of positive numbers alone.
IMAGES, PLANE, ROWS = (8, 32, 56, 56), (16, 1, 112, 112), (784, 1024)
OPERATIONS = {
    "relu": (F.relu, [IMAGES]),
    "relu6": (F.relu6, [IMAGES]),
    "leaky_relu": (F.leaky_relu, [IMAGES]),
    "prelu": (F.prelu, [IMAGES, (32, )]),
    "sigmoid": (torch.sigmoid, [IMAGES]),
    "tanh": (torch.tanh, [IMAGES]),
    "silu": (F.silu, [IMAGES]),
    "hardsigmoid": (F.hardsigmoid, [IMAGES]),
    "hardswish": (F.hardswish, [IMAGES]),
    "dropout": (lambda x: F.dropout(x, 0.5), [IMAGES]),
    "concat": (lambda *x: torch.cat(x, 1), [PLANE] * 4),
    "softmax": (lambda x: torch.softmax(x, -1), [ROWS]),
    "log_softmax": (lambda x: torch.log_softmax(x, -1), [ROWS]),
    "add": (torch.add, [IMAGES, IMAGES]),
    "mul": (torch.mul, [IMAGES, IMAGES]),
    "mul_channels": (torch.mul, [IMAGES, (8, 32, 1, 1)]),
    "div": (torch.div, [IMAGES, IMAGES]),
    "minimum": (torch.minimum, [IMAGES, IMAGES]),
    "where": (lambda x, y: torch.where(x.detach() < 0, x, y), [IMAGES, IMAGES]),
    "abs": (torch.abs, [IMAGES]),
    "clamp": (lambda x: torch.clamp(x, -2, 3), [IMAGES]),
    "elu": (F.elu, [IMAGES]),
    "exp": (torch.exp, [IMAGES]),
    "gelu": (F.gelu, [IMAGES]),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), [IMAGES]),
    "log": (torch.log, [IMAGES], True),
    "mish": (F.mish, [IMAGES]),
    "pow2": (lambda x: x.pow(2), [IMAGES]),
    "pow1.5": (lambda x: x.pow(1.5), [IMAGES], True),
    "reciprocal": (torch.reciprocal, [IMAGES], True),
    "rsqrt": (torch.rsqrt, [IMAGES], True),
    "softplus": (F.softplus, [IMAGES]),
    "softsign": (F.softsign, [IMAGES]),
    "sqrt": (torch.sqrt, [IMAGES], True),
}


def normal(shape):
    x = torch.randn(shape) * 3
    return x.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else x


def operation(name, backward):
    torch.manual_seed(1)
    f, shapes, *positive = OPERATIONS[name]
    inputs = [(normal(shape).abs() + 0.01 if positive else normal(shape)).requires_grad_() for shape in shapes]
    if not backward:
        return lambda: f(*inputs)
    y = f(*inputs)
    dy = normal(tuple(y.shape))

    def run():
        y.backward(dy, retain_graph=True)
        for x in inputs:
            x.grad = None

    return run


WORK = {
    "float_step": lambda: training(float_model()),
    "float_inference": lambda: inference(float_model()),
    "qat_step": lambda: training(qat_model()),
    "validation": validation,
    "simulator": simulator,
}
for name in OPERATIONS:
    WORK[name] = lambda name=name: operation(name, False)
    WORK[f"{name}_backward"] = lambda name=name: operation(name, True)


def main():
    ready = {}
    for line in sys.stdin:
        name, count = line.split()
        if name not in ready:
            ready[name] = WORK[name]()
            for _ in range(WARM_UP):
                ready[name]()
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(int(count)):
            ready[name]()
        scale = 1e3 / max(int(count), 1)
        print(f"{(time.perf_counter() - wall) * scale:.6f} {(time.process_time() - processor) * scale:.6f}", flush=True)


if __name__ == "__main__":
    main()
