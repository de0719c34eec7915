"""resize: F.interpolate."""
from torch.nn import functional as F

import torch

import common
from common import nchw, nhwc, values

golden = common.Area(__file__)


def pair(value):
    return list(value) if isinstance(value, tuple) else [value, value]


def resize(name, shape, mode, scale=None, size=None, align_corners=False):
    options = {"mode": mode, "size": size, "scale_factor": scale}
    if mode == "bilinear":
        options["align_corners"] = align_corners
    attributes = {"mode": mode, "align_corners": align_corners, "size": pair(size or 0)}
    attributes["scale_h"], attributes["scale_w"] = (float(factor) for factor in pair(scale or 0))
    # Channels last, as PyTorch's contiguous kernel has other coordinates for several channels.
    golden.op("%s %s" % (mode, name),
              lambda x: nhwc(F.interpolate(nchw(x).contiguous(memory_format=torch.channels_last), **options)),
              lambda: {"x": values(*shape)}, attributes)


for mode in ("nearest", "bilinear"):
    resize("by 2", (2, 2, 3, 3), mode, 2)
    resize("by 2 and 3", (1, 3, 2, 2), mode, (2.0, 3.0))
    resize("by 1.5", (1, 3, 5, 2), mode, 1.5)
    resize("by 2.7", (1, 4, 3, 2), mode, 2.7)
    resize("by a half", (2, 4, 7, 2), mode, 0.5)
    resize("by 0.3", (1, 7, 10, 1), mode, 0.3)
    resize("to a size", (1, 3, 4, 2), mode, size=(5, 7))
    resize("to a smaller size", (1, 7, 9, 2), mode, size=(3, 4))
    resize("to its own size", (1, 2, 3, 2), mode, size=(2, 3))
    resize("to one pixel", (1, 3, 4, 2), mode, size=1)
    resize("of one pixel", (2, 1, 1, 3), mode, size=(2, 3))
    resize("by a scale that keeps the size", (1, 4, 3, 2), mode, (1.2, 1.3))
    resize("by a smaller scale that keeps the height", (1, 1, 6, 2), mode, (1.9, 0.7))
    resize("by a scale that doubles the size", (1, 3, 2, 2), mode, (2.3, 2.4))
    resize("where float32 rounds", (1, 9, 12, 1), mode, 9 / 7)
    resize("to a size where float32 rounds", (1, 14, 26, 1), mode, size=(46, 22))
resize("by 2 with corners", (1, 3, 4, 2), "bilinear", 2, align_corners=True)
resize("by 2.7 with corners", (1, 4, 3, 1), "bilinear", 2.7, align_corners=True)
resize("by a half with corners", (1, 5, 6, 2), "bilinear", 0.5, align_corners=True)
resize("to a size with corners", (2, 3, 4, 2), "bilinear", size=(5, 7), align_corners=True)
resize("to one pixel with corners", (1, 3, 4, 2), "bilinear", size=(1, 2), align_corners=True)
golden.write()
