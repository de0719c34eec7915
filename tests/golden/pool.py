"""max_pool2d, avg_pool2d and adaptive_avg_pool2d."""
import torch
from torch.nn import functional as F

import common
from common import nchw, nhwc, values

golden = common.Area(__file__)


def pair(value):
    return list(value) if isinstance(value, tuple) else [value, value]


def max_pool(name, x, kernel, stride=None, padding=0, dilation=1, ceil_mode=False):
    stride = kernel if stride is None else stride
    golden.op("max " + name, lambda x: nhwc(F.max_pool2d(nchw(x), kernel, stride, padding, dilation, ceil_mode)), x,
              {"kernel": pair(kernel), "stride": pair(stride), "padding": pair(padding), "dilation": pair(dilation),
               "ceil_mode": ceil_mode})


def avg_pool(name, x, kernel, stride=None, padding=0, ceil_mode=False, include=True):
    stride = kernel if stride is None else stride
    golden.op("avg " + name, lambda x: nhwc(F.avg_pool2d(nchw(x), kernel, stride, padding, ceil_mode, include)), x,
              {"kernel": pair(kernel), "stride": pair(stride), "padding": pair(padding), "ceil_mode": ceil_mode,
               "count_include_pad": include})


def image(*shape):
    return lambda: {"x": values(*shape)}


def few_values(*shape):
    return lambda: {"x": torch.randint(0, 3, shape).float()}


def special():
    x = values(1, 5, 5, 4)
    x[0, 1, 1, 0] = x[0, 2, 2, 0] = float("nan")
    x[0, :, :, 1] = -float("inf")
    x[0, 2, 3, 2] = float("inf")
    x[0, 0, 0, 3] = x[0, 2, 0, 3] = -float("inf")
    return {"x": x}


max_pool("plain", image(2, 4, 6, 3), 2)
max_pool("the ResNet's", image(2, 7, 6, 3), 3, 2, 1)
max_pool("by axis", image(1, 7, 8, 2), (2, 3), (1, 2), (1, 0))
max_pool("gaps", image(1, 8, 5, 2), 2, 5)
max_pool("dilation", image(1, 7, 8, 2), (3, 2), (2, 1), 1, (2, 3))
max_pool("floor", image(1, 6, 5, 2), 3, 2)
max_pool("ceil", image(1, 6, 5, 2), 3, 2, 0, 1, True)
max_pool("ceil with padding", image(1, 5, 6, 2), 2, 2, 1, 1, True)
max_pool("ceil, kernel larger than the image", image(1, 1, 2, 2), 2, 2, 0, 1, True)
max_pool("many channels", image(1, 3, 1, 70), (2, 1), 1)
max_pool("equal values", few_values(1, 6, 6, 3), 3, 2, 1)
max_pool("NaN and infinities", special, 3, 1, 1)

avg_pool("plain", image(2, 4, 6, 3), 2)
avg_pool("overlapping", image(2, 7, 6, 3), 3, 2)
avg_pool("by axis", image(1, 7, 8, 2), (2, 3), (1, 2), (1, 0))
for ceil in False, True:
    for include in False, True:
        name = "{}, {} padding".format("ceil" if ceil else "floor", "with" if include else "without")
        avg_pool(name, image(1, 6, 5, 2), 3, 2, 1, ceil, include)
        avg_pool(name + ", stride 3", image(1, 6, 5, 2), 2, 3, 1, ceil, include)
avg_pool("many channels", image(1, 3, 1, 70), (2, 1), 1)
for shape, size in (((6, 4), (3, 2)), ((6, 4), (1, 1)), ((7, 5), (3, 2)), ((3, 5), (2, 4)), ((2, 3), (5, 3)), ((6, 7), (3, 3)),
                    ((7, 6), (3, 3)), ((4, 5), (4, 5)), ((5, 6), (5, 4))):
    golden.op("adaptive from %s to %s" % (shape, size), lambda x: nhwc(F.adaptive_avg_pool2d(nchw(x), size)),
              image(2, *shape, 3), {"size": list(size)})
golden.write()
