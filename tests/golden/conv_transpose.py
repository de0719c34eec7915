"""conv_transpose2d. Weights are [O,KH,KW,I/groups], of the transposed convolution's own output and input channels."""
from torch.nn import functional as F

import common
from common import nchw, nhwc, values

golden = common.Area(__file__)


def pair(value):
    return list(value) if isinstance(value, tuple) else [value, value]


def iohw(w, groups):
    """PyTorch's [I,O/groups,KH,KW]."""
    o, kh, kw, i = w.shape
    return w.reshape(groups, o // groups, kh, kw, i).permute(0, 4, 1, 2, 3).reshape(groups * i, o // groups, kh, kw)


def conv(name, x, weight, stride=1, padding=0, output_padding=0, dilation=1, groups=1, bias=False):
    inputs = {"x": x, "weight": weight}
    if bias:
        inputs["bias"] = weight[:1]
    golden.op(name,
              lambda x, w, b=None: nhwc(F.conv_transpose2d(nchw(x), iohw(w, groups), b, stride, padding,
                                                           output_padding, groups, dilation)),
              lambda: {key: values(*shape) for key, shape in inputs.items()},
              {"stride": pair(stride), "padding": pair(padding), "output_padding": pair(output_padding),
               "dilation": pair(dilation), "groups": groups})


conv("plain", (2, 3, 4, 3), (4, 3, 3, 3))
conv("bias and padding", (1, 4, 5, 3), (4, 3, 3, 3), padding=1, bias=True)
conv("one by one", (2, 3, 3, 5), (3, 1, 1, 5), bias=True)
conv("twice the size, 2x2", (2, 3, 2, 4), (3, 2, 2, 4), 2, bias=True)
conv("twice the size, 3x3", (1, 3, 4, 2), (3, 3, 3, 2), 2, 1, 1, bias=True)
conv("twice the size, 4x4", (1, 3, 3, 2), (2, 4, 4, 2), 2, 1)
conv("stride larger than the kernel", (1, 2, 3, 2), (2, 2, 1, 2), 3, 0, (2, 1), bias=True)
conv("by axis", (1, 3, 4, 2), (3, 2, 3, 2), (1, 2), (1, 0), (0, 1), bias=True)
conv("a column", (1, 3, 2, 3), (2, 5, 1, 3), (2, 1), (2, 0))
conv("dilation", (1, 4, 3, 2), (3, 3, 3, 2), 1, 2, 0, 2, bias=True)
conv("dilation by axis with stride", (1, 3, 3, 2), (2, 3, 2, 2), (2, 3), (1, 2), (1, 2), (2, 3))
conv("padding larger than the kernel", (1, 5, 4, 2), (2, 2, 2, 2), 2, 3, 1)
conv("one pixel", (2, 1, 1, 3), (2, 4, 4, 3), bias=True)
conv("groups", (1, 3, 3, 4), (6, 3, 3, 2), 2, 1, 1, groups=2, bias=True)
conv("depthwise", (1, 3, 4, 5), (5, 3, 3, 1), 1, 1, groups=5, bias=True)
conv("depthwise, twice the size", (1, 3, 2, 4), (4, 4, 4, 1), 2, 1, groups=4)
conv("depthwise, two outputs each", (1, 3, 3, 3), (6, 2, 2, 1), 2, groups=3)
conv("sixteen channels", (1, 3, 2, 16), (16, 1, 2, 16), (1, 2))
golden.write()
