"""Blocks and networks as PyTorch modules: torchvision's structure, written out as it is no Debian package."""
import math

import torch
from torch import nn
from torch.nn import functional as F

import common
from common import nchw, nhwc, ohwi, values


class Shortcut(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.changes = i != o or stride != 1
        if self.changes:
            self.conv = nn.Conv2d(i, o, 1, stride, bias=False)
            self.bn = nn.BatchNorm2d(o)

    def forward(self, x):
        return self.bn(self.conv(x)) if self.changes else x


class BasicBlock(nn.Module):
    def __init__(self, i, o, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.shortcut = Shortcut(i, o, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class BottleneckBlock(nn.Module):
    def __init__(self, i, o, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(i, o // 4, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o // 4)
        self.conv2 = nn.Conv2d(o // 4, o // 4, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o // 4)
        self.conv3 = nn.Conv2d(o // 4, o, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(o)
        self.shortcut = Shortcut(i, o, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, stem, pool, blocks, classes, kind=BasicBlock):
        super().__init__()
        self.stem = stem
        self.bn = nn.BatchNorm2d(stem.out_channels)
        self.pool = pool
        i = stem.out_channels
        o = i * (1 if kind is BasicBlock else 4)
        self.body = nn.ModuleList()
        for stage, count in enumerate(blocks):
            for block in range(count):
                self.body.append(kind(i, o, 2 if stage > 0 and block == 0 else 1))
                i = o
            o *= 2
        self.head = nn.Linear(i, classes)

    def forward(self, x):
        y = F.relu(self.bn(self.stem(x)))
        if self.pool is not None:
            y = self.pool(y)
        for block in self.body:
            y = block(y)
        return self.head(y.mean((2, 3)))


class SeparableConv(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.depthwise = nn.Conv2d(i, i, 3, stride, 1, groups=i, bias=False)
        self.depthwise_bn = nn.BatchNorm2d(i)
        self.pointwise = nn.Conv2d(i, o, 1, bias=False)
        self.pointwise_bn = nn.BatchNorm2d(o)

    def forward(self, x):
        return F.relu(self.pointwise_bn(self.pointwise(F.relu(self.depthwise_bn(self.depthwise(x))))))


class MobileNetV1(nn.Module):
    def __init__(self, in_channels, classes, width):
        super().__init__()
        i = int(32 * width)
        self.stem = nn.Conv2d(in_channels, i, 3, 2, 1, bias=False)
        self.stem_bn = nn.BatchNorm2d(i)
        self.body = nn.ModuleList()
        for o, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1),
                          (512, 1), (512, 1), (1024, 2), (1024, 1)):
            o = int(o * width)
            self.body.append(SeparableConv(i, o, stride))
            i = o
        self.head = nn.Linear(i, classes)

    def forward(self, x):
        y = F.relu(self.stem_bn(self.stem(x)))
        for block in self.body:
            y = block(y)
        return self.head(y.mean((2, 3)))


class InvertedResidual(nn.Module):
    def __init__(self, i, o, stride, expansion):
        super().__init__()
        wide = i * expansion
        self.expand = self.expand_bn = None
        if expansion != 1:
            self.expand = nn.Conv2d(i, wide, 1, bias=False)
            self.expand_bn = nn.BatchNorm2d(wide)
        self.depthwise = nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False)
        self.depthwise_bn = nn.BatchNorm2d(wide)
        self.project = nn.Conv2d(wide, o, 1, bias=False)
        self.project_bn = nn.BatchNorm2d(o)
        self.adds = stride == 1 and i == o

    def forward(self, x):
        y = x if self.expand is None else F.relu6(self.expand_bn(self.expand(x)))
        y = self.project_bn(self.project(F.relu6(self.depthwise_bn(self.depthwise(y)))))
        return x + y if self.adds else y


class MobileNetV2(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 32, 3, 2, 1, bias=False)
        self.stem_bn = nn.BatchNorm2d(32)
        self.body = nn.ModuleList()
        i = 32
        for expansion, o, blocks, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                             (6, 160, 3, 2), (6, 320, 1, 1)):
            for n in range(blocks):
                self.body.append(InvertedResidual(i, o, stride if n == 0 else 1, expansion))
                i = o
        self.last = nn.Conv2d(i, 1280, 1, bias=False)
        self.last_bn = nn.BatchNorm2d(1280)
        self.head = nn.Linear(1280, classes)

    def forward(self, x):
        y = F.relu6(self.stem_bn(self.stem(x)))
        for block in self.body:
            y = block(y)
        return self.head(F.relu6(self.last_bn(self.last(y))).mean((2, 3)))


def state_of(model):
    return {key: value for key, value in model.state_dict().items() if "num_batches" not in key}


def layout(t):
    return ohwi(t) if t.dim() == 4 else t


def block(golden, name, i, o, stride, kind=BasicBlock):
    golden.seed(name)
    model = kind(i, o, stride).double()
    state = {}
    for key, value in state_of(model).items():
        offset = 1 if key.endswith(("var", "weight")) and value.dim() == 1 else 0
        state[key] = values(*value.shape, scale=0.1 if value.dim() == 1 else 0.4, offset=offset)
    model.load_state_dict(state, strict=False)
    x = values(2, 5, 5, i)
    leaf = x.double().requires_grad_()
    model.eval()
    evaluated = nhwc(model(nchw(leaf)))
    model.train()
    trained = nhwc(model(nchw(leaf)))
    dy = values(*trained.shape)
    trained.backward(dy.double())
    gradients = {key: layout(p.grad) for key, p in model.named_parameters()}
    after = {key: p for key, p in state_of(model).items() if "running" in key}
    golden.record(name, {"in": i, "out": o, "stride": stride},
                  {"x": x, **{key: layout(p) for key, p in state.items()}},
                  {"eval": evaluated, "train": trained, **after}, {"train": dy, "x": leaf.grad, **gradients})


def fill(model):
    """Values from a formula, which the test repeats: whole networks are too large for a file."""
    for k, (key, p) in enumerate(state_of(model).items()):
        i = torch.arange(p.numel(), dtype=torch.int64)
        u = ((i * 7919 + (k + 1) * 104729) % 1009).double() / 1009 - 0.5
        if p.dim() > 1:
            u = u * math.sqrt(24 / (p.numel() / p.shape[0]))
            shape = ohwi(p).shape if p.dim() == 4 else p.shape
            u = u.reshape(shape)
            if p.dim() == 4:
                u = nchw(u)
        else:
            u = 0.2 * u + (1 if key.endswith("var") or "bn" in key and key.endswith("weight") else 0)
        p.copy_(u.float())


def network(golden, name, model, size):
    golden.seed(name)
    model = model.double().eval()
    with torch.no_grad():
        fill(model)
    golden.op(name, lambda x: model(nchw(x)), {"x": values(*size)})


golden = common.Area(__file__)
block(golden, "block", 3, 3, 1)
block(golden, "block with projection", 3, 4, 2)
block(golden, "bottleneck", 8, 8, 1, BottleneckBlock)
block(golden, "bottleneck with projection", 3, 8, 2, BottleneckBlock)
network(golden, "cifar", ResNet(nn.Conv2d(3, 16, 3, 1, 1, bias=False), None, [1, 1, 1], 10), (2, 9, 8, 3))
network(golden, "imagenet", ResNet(nn.Conv2d(2, 64, 7, 2, 3, bias=False), nn.MaxPool2d(3, 2, 1), [2, 2, 2, 2], 5),
        (1, 21, 24, 2))
network(golden, "imagenet with bottlenecks",
        ResNet(nn.Conv2d(2, 64, 7, 2, 3, bias=False), nn.MaxPool2d(3, 2, 1), [1, 2, 1, 1], 5, BottleneckBlock),
        (1, 21, 24, 2))
network(golden, "mobilenet", MobileNetV2(2, 5), (1, 24, 27, 2))
network(golden, "mobilenet v1", MobileNetV1(2, 5, 0.5), (1, 24, 27, 2))
golden.write()
