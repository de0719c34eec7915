"""batch_norm, perhaps with a tensor that is added and a ReLU; frozen: a module in eval() while all else trains."""
import torch
from torch.nn import functional as F

import common
from common import values

golden = common.Area(__file__)


def batch_norm(name, shape, training, eps=1e-5, momentum=0.1, skip=False, relu=False, offset=0.0):
    golden.seed(name)
    channels = shape[-1]
    inputs = {"x": values(*shape, scale=2, offset=offset), "weight": values(channels), "bias": values(channels),
              "mean": values(channels), "var": values(channels).abs() + 0.1}
    if skip:
        inputs["skip"] = values(*shape)
    leaves = {key: value.double().requires_grad_(key not in ("mean", "var")) for key, value in inputs.items()}
    mean, var = leaves["mean"].clone(), leaves["var"].clone()
    y = F.batch_norm(leaves["x"].movedim(-1, 1), mean, var, leaves["weight"], leaves["bias"], training, momentum, eps)
    y = y.movedim(1, -1)
    y = y + leaves["skip"] if skip else y
    y = torch.relu(y) if relu else y
    dy = values(*shape)
    y.backward(dy.double())
    golden.record(name, {"training": training, "eps": eps, "momentum": momentum, "relu": relu,
                         "frozen": False}, inputs, {"y": y, "mean": mean, "var": var},
                  {"y": dy, **{key: leaf.grad for key, leaf in leaves.items() if leaf.grad is not None}})


for training in True, False:
    mode = "training" if training else "evaluation"
    batch_norm(mode, (2, 3, 4, 5), training)
    batch_norm(mode + " of rows", (6, 7), training, 1e-3, 0.3)
    batch_norm(mode + ", relu", (2, 3, 3, 4), training, relu=True)
    batch_norm(mode + ", skip", (2, 3, 3, 4), training, skip=True)
    batch_norm(mode + ", skip and relu", (2, 3, 4, 3), training, skip=True, relu=True)


def frozen(name, shape, relu=False):
    golden.seed(name)
    channels = shape[-1]
    module = torch.nn.BatchNorm2d(channels).double().train().eval()
    inputs = {"x": values(*shape, scale=2), "weight": values(channels), "bias": values(channels),
              "mean": values(channels), "var": values(channels).abs() + 0.1}
    with torch.no_grad():
        for key, own in {"weight": module.weight, "bias": module.bias, "mean": module.running_mean,
                         "var": module.running_var}.items():
            own.copy_(inputs[key])
    x = inputs["x"].double().requires_grad_()
    y = common.nhwc(module(common.nchw(x)))
    y = torch.relu(y) if relu else y
    dy = values(*shape)
    y.backward(dy.double())
    golden.record(name, {"training": True, "frozen": True, "eps": module.eps, "momentum": module.momentum, "relu": relu},
                  inputs, {"y": y, "mean": module.running_mean, "var": module.running_var},
                  {"y": dy, "x": x.grad, "weight": module.weight.grad, "bias": module.bias.grad})


frozen("frozen", (2, 3, 4, 5))
frozen("frozen, relu", (2, 3, 3, 4), relu=True)
batch_norm("training, far from zero", (2, 5, 5, 2), True, offset=100.0)
batch_norm("training, statistics replaced", (3, 2, 2, 3), True, momentum=1.0)
golden.write()
