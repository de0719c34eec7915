"""conv2d."""
from torch.nn import functional as F

import common
from common import nchw, nhwc, oihw, values

golden = common.Area(__file__)


def pair(value):
    return list(value) if isinstance(value, tuple) else [value, value]


def conv(name, x, weight, stride=1, padding=0, dilation=1, groups=1, bias=False):
    inputs = {"x": x, "weight": weight}
    if bias:
        inputs["bias"] = weight[:1]
    golden.op(name, lambda x, w, b=None: nhwc(F.conv2d(nchw(x), oihw(w), b, stride, padding, dilation, groups)),
              lambda: {key: values(*shape) for key, shape in inputs.items()},
              {"stride": pair(stride), "padding": pair(padding), "dilation": pair(dilation), "groups": groups})


conv("plain", (2, 5, 4, 3), (4, 3, 3, 3))
conv("bias and padding", (1, 4, 5, 3), (4, 3, 3, 3), padding=1, bias=True)
conv("one by one", (2, 3, 3, 5), (3, 1, 1, 5), bias=True)
conv("one by one, stride 2", (1, 6, 5, 4), (3, 1, 1, 4), 2)
conv("stride that leaves rows over", (1, 8, 6, 2), (3, 3, 3, 2), 3)
conv("the ResNet's stem", (1, 9, 10, 3), (2, 7, 7, 3), 2, 3)
conv("by axis", (1, 7, 8, 2), (3, 2, 3, 2), (1, 2), (1, 0), bias=True)
conv("a column", (1, 6, 4, 3), (2, 5, 1, 3), (2, 1), (2, 0))
conv("dilation", (1, 7, 8, 2), (3, 3, 3, 2), 1, 2, 2, bias=True)
conv("dilation by axis with stride", (1, 9, 8, 2), (2, 3, 2, 2), (2, 1), (1, 2), (2, 3))
conv("padding larger than the kernel", (1, 3, 3, 2), (2, 2, 2, 2), 2, 3)
conv("kernel as large as the image", (2, 4, 3, 2), (3, 4, 3, 2), bias=True)
conv("groups", (1, 5, 5, 4), (6, 3, 3, 2), 1, 1, groups=2, bias=True)
conv("depthwise", (1, 5, 6, 5), (5, 3, 3, 1), 1, 1, groups=5, bias=True)
conv("depthwise, stride 2", (1, 7, 6, 4), (4, 3, 3, 1), 2, 1, groups=4)
conv("depthwise, dilation", (1, 7, 6, 3), (3, 3, 3, 1), 1, 2, 2, groups=3)
conv("depthwise, two outputs each", (1, 4, 4, 3), (6, 3, 3, 1), 1, 1, groups=3)
conv("sixteen channels", (1, 3, 3, 16), (16, 1, 3, 16), 1, (0, 1))
golden.write()
