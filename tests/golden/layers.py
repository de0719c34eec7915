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


class SqueezeExcite(nn.Module):
    def __init__(self, channels, squeezed, activation, gate):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.excite = nn.Conv2d(squeezed, channels, 1)
        self.activation, self.gate = activation, gate

    def forward(self, x):
        return x * self.gate(self.excite(self.activation(self.squeeze(x.mean((2, 3), keepdim=True)))))


class InvertedResidual(nn.Module):
    def __init__(self, i, o, stride, wide, kernel=3, activation=F.relu6, squeezed=None, squeeze_activation=F.relu,
                 gate=F.hardsigmoid):
        super().__init__()
        self.expand = self.expand_bn = None
        if wide != i:
            self.expand = nn.Conv2d(i, wide, 1, bias=False)
            self.expand_bn = nn.BatchNorm2d(wide)
        self.depthwise = nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False)
        self.depthwise_bn = nn.BatchNorm2d(wide)
        self.squeeze = nn.Identity() if squeezed is None else SqueezeExcite(wide, squeezed, squeeze_activation, gate)
        self.project = nn.Conv2d(wide, o, 1, bias=False)
        self.project_bn = nn.BatchNorm2d(o)
        self.activation = activation
        self.adds = stride == 1 and i == o

    def forward(self, x):
        y = x if self.expand is None else self.activation(self.expand_bn(self.expand(x)))
        y = self.squeeze(self.activation(self.depthwise_bn(self.depthwise(y))))
        y = self.project_bn(self.project(y))
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
                self.body.append(InvertedResidual(i, o, stride if n == 0 else 1, i * expansion))
                i = o
        self.last = nn.Conv2d(i, 1280, 1, bias=False)
        self.last_bn = nn.BatchNorm2d(1280)
        self.head = nn.Linear(1280, classes)

    def forward(self, x):
        y = F.relu6(self.stem_bn(self.stem(x)))
        for block in self.body:
            y = block(y)
        return self.head(F.relu6(self.last_bn(self.last(y))).mean((2, 3)))


class MobileNetV3Small(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 16, 3, 2, 1, bias=False)
        self.stem_bn = nn.BatchNorm2d(16)
        self.body = nn.ModuleList()
        i = 16
        for kernel, wide, o, squeezed, activation, stride in (
                (3, 16, 16, 8, F.relu, 2), (3, 72, 24, None, F.relu, 2), (3, 88, 24, None, F.relu, 1),
                (5, 96, 40, 24, F.hardswish, 2), (5, 240, 40, 64, F.hardswish, 1), (5, 240, 40, 64, F.hardswish, 1),
                (5, 120, 48, 32, F.hardswish, 1), (5, 144, 48, 40, F.hardswish, 1), (5, 288, 96, 72, F.hardswish, 2),
                (5, 576, 96, 144, F.hardswish, 1), (5, 576, 96, 144, F.hardswish, 1)):
            self.body.append(InvertedResidual(i, o, stride, wide, kernel, activation, squeezed))
            i = o
        self.last = nn.Conv2d(i, 576, 1, bias=False)
        self.last_bn = nn.BatchNorm2d(576)
        self.hidden = nn.Linear(576, 1024)
        self.head = nn.Linear(1024, classes)

    def forward(self, x):
        y = F.hardswish(self.stem_bn(self.stem(x)))
        for block in self.body:
            y = block(y)
        return self.head(F.hardswish(self.hidden(F.hardswish(self.last_bn(self.last(y))).mean((2, 3)))))


class EfficientNetB0(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 32, 3, 2, 1, bias=False)
        self.stem_bn = nn.BatchNorm2d(32)
        self.body = nn.ModuleList()
        i = 32
        for expansion, kernel, stride, o, blocks in ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2),
                                                     (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
                                                     (6, 3, 1, 320, 1)):
            for n in range(blocks):
                self.body.append(InvertedResidual(i, o, stride if n == 0 else 1, i * expansion, kernel, F.silu, i // 4,
                                                  F.silu, torch.sigmoid))
                i = o
        self.last = nn.Conv2d(i, 1280, 1, bias=False)
        self.last_bn = nn.BatchNorm2d(1280)
        self.head = nn.Linear(1280, classes)

    def forward(self, x):
        y = F.silu(self.stem_bn(self.stem(x)))
        for block in self.body:
            y = block(y)
        return self.head(F.silu(self.last_bn(self.last(y))).mean((2, 3)))


class ShuffleUnit(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        half = o // 2
        self.splits = stride == 1
        if not self.splits:
            self.shortcut = nn.Sequential(nn.Conv2d(i, i, 3, stride, 1, groups=i, bias=False), nn.BatchNorm2d(i),
                                          nn.Conv2d(i, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(half if self.splits else i, half, 1, bias=False), nn.BatchNorm2d(half),
                                  nn.ReLU(), nn.Conv2d(half, half, 3, stride, 1, groups=half, bias=False),
                                  nn.BatchNorm2d(half), nn.Conv2d(half, half, 1, bias=False), nn.BatchNorm2d(half),
                                  nn.ReLU())

    def forward(self, x):
        if self.splits:
            other, y = x.chunk(2, 1)
        else:
            other, y = self.shortcut(x), x
        return torch.stack((other, self.body(y)), 2).flatten(1, 2)  # by turns


class ShuffleNetV2(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 24, 3, 2, 1, bias=False)
        self.stem_bn = nn.BatchNorm2d(24)
        self.body = nn.ModuleList()
        i = 24
        for o, blocks in ((116, 4), (232, 8), (464, 4)):
            for n in range(blocks):
                self.body.append(ShuffleUnit(i, o, 2 if n == 0 else 1))
                i = o
        self.last = nn.Conv2d(i, 1024, 1, bias=False)
        self.last_bn = nn.BatchNorm2d(1024)
        self.head = nn.Linear(1024, classes)

    def forward(self, x):
        y = F.max_pool2d(F.relu(self.stem_bn(self.stem(x))), 3, 2, 1)
        for unit in self.body:
            y = unit(y)
        return self.head(F.relu(self.last_bn(self.last(y))).mean((2, 3)))


class PreActBlock(nn.Module):
    def __init__(self, i, o, stride, activated):
        super().__init__()
        self.bn1 = None if activated else nn.BatchNorm2d(i)
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.shortcut = None if i == o and stride == 1 else nn.Conv2d(i, o, 1, stride, bias=False)

    def forward(self, x):
        a = x if self.bn1 is None else F.relu(self.bn1(x))
        return self.conv2(F.relu(self.bn2(self.conv1(a)))) + (x if self.shortcut is None else self.shortcut(a))


class PreActResNet18(nn.Module):
    def __init__(self, stem, pool, classes):
        super().__init__()
        self.stem = stem
        i = o = stem.out_channels
        self.stem_bn = nn.BatchNorm2d(i)
        self.pool = pool
        self.body = nn.ModuleList()
        for stage in range(4):
            for block in range(2):
                self.body.append(PreActBlock(i, o, 2 if stage > 0 and block == 0 else 1, not self.body))
                i = o
            o *= 2
        self.bn = nn.BatchNorm2d(i)
        self.head = nn.Linear(i, classes)

    def forward(self, x):
        y = self.pool(F.relu(self.stem_bn(self.stem(x))))
        for block in self.body:
            y = block(y)
        return self.head(F.relu(self.bn(y)).mean((2, 3)))


class DenseNet(nn.Module):
    def __init__(self, in_channels, classes, layers, growth):
        super().__init__()
        i = 16
        self.stem = nn.Conv2d(in_channels, i, 3, 1, 1, bias=False)
        self.body = nn.ModuleList()
        self.transitions = nn.ModuleList()
        for block in range(3):
            if block > 0:
                self.transitions.append(nn.Sequential(nn.BatchNorm2d(i), nn.ReLU(), nn.Conv2d(i, i, 1, bias=False),
                                                      nn.AvgPool2d(2)))
            self.body.append(nn.ModuleList())
            for _ in range(layers):
                self.body[-1].append(nn.Sequential(nn.BatchNorm2d(i), nn.ReLU(),
                                                   nn.Conv2d(i, growth, 3, 1, 1, bias=False)))
                i += growth
        self.bn = nn.BatchNorm2d(i)
        self.head = nn.Linear(i, classes)

    def forward(self, x):
        y = self.stem(x)
        for n, block in enumerate(self.body):
            if n > 0:
                y = self.transitions[n - 1](y)
            for layer in block:
                y = torch.cat((y, layer(y)), 1)
        return self.head(F.relu(self.bn(y)).mean((2, 3)))


class Positions(nn.Module):
    def __init__(self, tokens, channels):
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(1, tokens, channels))

    def forward(self, x):
        return x + self.positions


class TransformerBlock(nn.Module):
    def __init__(self, channels, heads, hidden):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, 1e-6)
        self.query, self.key, self.value, self.out = (nn.Linear(channels, channels) for _ in range(4))
        self.norm2 = nn.LayerNorm(channels, 1e-6)
        self.expand = nn.Linear(channels, hidden)
        self.contract = nn.Linear(hidden, channels)
        self.heads = heads

    def attention(self, x):
        n, tokens, channels = x.shape
        q, k, v = (layer(x).reshape(n, tokens, self.heads, channels // self.heads).transpose(1, 2)
                   for layer in (self.query, self.key, self.value))
        weights = F.softmax(q @ k.transpose(2, 3) / math.sqrt(channels // self.heads), -1)
        return self.out((weights @ v).transpose(1, 2).reshape(n, tokens, channels))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.contract(F.gelu(self.expand(self.norm2(x))))


class VisionTransformer(nn.Module):
    def __init__(self, in_channels, classes, tokens, patch, channels, depth, heads, hidden):
        super().__init__()
        self.patches = nn.Conv2d(in_channels, channels, patch, patch)
        self.positions = Positions(tokens, channels)
        self.body = nn.Sequential(*(TransformerBlock(channels, heads, hidden) for _ in range(depth)))
        self.norm = nn.LayerNorm(channels, 1e-6)
        self.head = nn.Linear(channels, classes)

    def forward(self, x):
        tokens = self.positions(self.patches(x).flatten(2).transpose(1, 2))
        return self.head(self.norm(self.body(tokens)).mean(1))


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
            u = 0.2 * u + (1 if key.endswith(("var", "weight")) else 0)
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
network(golden, "mobilenet v3", MobileNetV3Small(2, 5), (1, 17, 20, 2))
network(golden, "efficientnet", EfficientNetB0(2, 5), (1, 17, 20, 2))
network(golden, "shufflenet", ShuffleNetV2(2, 5), (1, 17, 20, 2))
network(golden, "preact", PreActResNet18(nn.Conv2d(2, 64, 7, 2, 3, bias=False), nn.MaxPool2d(3, 2, 1), 5),
        (1, 17, 20, 2))
network(golden, "preact cifar", PreActResNet18(nn.Conv2d(2, 8, 3, 1, 1, bias=False), nn.Identity(), 5), (1, 9, 8, 2))
network(golden, "densenet", DenseNet(2, 5, 3, 12), (1, 8, 12, 2))
network(golden, "vision transformer", VisionTransformer(2, 5, 6, 4, 12, 2, 3, 24), (2, 8, 12, 2))
golden.write()
