"""Convolution, linear layers, batch normalisation, arithmetic, reductions and the loss."""
import torch
from torch.nn import functional as F

import common
from common import nchw, nhwc, oihw, values

golden = common.Area(__file__)


def conv(name, x, w, bias=False, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    inputs = lambda: {"x": values(*x), "w": values(*w), **({"b": values(w[0])} if bias else {})}
    function = lambda x, w, b=None: nhwc(F.conv2d(nchw(x), oihw(w), b, stride, padding, dilation, groups))
    golden.op("conv " + name, function, inputs, {"stride": list(stride), "padding": list(padding),
                                                 "dilation": list(dilation), "groups": groups})


conv("plain", (2, 5, 4, 3), (4, 3, 3, 3))
conv("bias padding stride", (2, 6, 5, 2), (3, 3, 3, 2), True, (2, 2), (1, 1))
conv("asymmetric", (1, 7, 6, 2), (2, 3, 2, 2), True, (2, 1), (0, 1), (1, 2))
conv("grouped", (2, 4, 4, 4), (6, 3, 3, 2), True, (1, 1), (1, 1), (1, 1), 2)
conv("depthwise", (1, 5, 5, 4), (4, 3, 3, 1), False, (1, 1), (1, 1), (1, 1), 4)
conv("pointwise", (2, 3, 3, 5), (4, 1, 1, 5), True)

golden.op("linear", F.linear, lambda: {"x": values(3, 4), "w": values(2, 4), "b": values(2)})
golden.op("linear without bias", F.linear, lambda: {"x": values(2, 3, 4), "w": values(5, 4)})
golden.op("matmul", torch.matmul, lambda: {"a": values(3, 4), "b": values(4, 2)})
golden.op("matmul batch", torch.matmul, lambda: {"a": values(2, 3, 4), "b": values(2, 4, 5)})
golden.op("matmul shared", torch.matmul, lambda: {"a": values(2, 3, 4), "b": values(4, 5)})


def batch_norm(name, training, relu=False, skip=False):
    golden.seed(name)
    x, weight, bias = values(3, 2, 2, 3, scale=2, offset=0.5), values(3, offset=1, scale=0.3), values(3)
    mean, var = values(3), values(3, scale=0.1, offset=1.5)
    given = {"x": x, "weight": weight, "bias": bias, **({"skip": values(3, 2, 2, 3)} if skip else {})}
    leaves = {key: t.double().requires_grad_() for key, t in given.items()}
    running = {"mean": mean.double().clone(), "var": var.double().clone()}
    y = nhwc(F.batch_norm(nchw(leaves["x"]), running["mean"], running["var"], leaves["weight"], leaves["bias"],
                          training, 0.1, 1e-5))
    if skip:
        y = y + leaves["skip"]
    if relu:
        y = F.relu(y)
    dy = values(*y.shape)
    y.backward(dy.double())
    golden.record("batch_norm " + name, {"training": training, "relu": relu}, {**given, "mean": mean, "var": var},
                  {"y": y, **running}, {"y": dy, **{key: leaf.grad for key, leaf in leaves.items()}})


batch_norm("training", True)
batch_norm("evaluation", False)
batch_norm("training relu", True, relu=True)
batch_norm("training skip relu", True, relu=True, skip=True)
batch_norm("evaluation skip", False, skip=True)

golden.op("relu", F.relu, lambda: {"x": values(3, 5)})
for name, function in {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div}.items():
    for shapes in [((2, 3), (2, 3)), ((2, 3, 4), (4,)), ((2, 1, 3), (4, 1)), ((2, 2), ())]:
        golden.op(f"{name} {shapes[0]} {shapes[1]}", function,
                  lambda: {"a": values(*shapes[0]), "b": values(*shapes[1], scale=0.2, offset=2)})

for axes, keep in [([0], False), ([1, 2], False), ([1, 2], True), ([-1], True), ([0, 1, 2, 3], False)]:
    for name, function in {"sum": torch.sum, "mean": torch.mean, "max": torch.amax}.items():
        golden.op(f"{name} {axes} {keep}", lambda x: function(x, axes, keep), lambda: {"x": values(2, 3, 2, 4)},
                  {"axes": axes, "keep": keep})

for smoothing in [0.0, 0.1]:
    labels = torch.tensor([2, 0, 3, 1])
    golden.op(f"cross_entropy {smoothing}", lambda x, t: F.cross_entropy(x, t, label_smoothing=smoothing),
              lambda: {"x": values(4, 5, scale=3), "labels": labels}, {"label_smoothing": smoothing})
golden.write()
