"""Activations."""
import torch
from torch.nn import functional as F

import common
from common import values

golden = common.Area(__file__)
golden.op("relu6", F.relu6, lambda: {"x": values(3, 7, scale=5, offset=2)})
golden.op("relu6 at its corners", F.relu6,
          {"x": torch.tensor([-float("inf"), -1e-6, 0, 1e-6, 5.999999, 6, 6.000001, float("inf")])})
golden.op("relu", F.relu, lambda: {"x": values(3, 7)})
golden.op("relu at its corner", F.relu, {"x": torch.tensor([-float("inf"), -1e-6, -0.0, 0, 1e-6, float("inf")])})

# The gradient of hardswish at NaN is 1 in PyTorch.
infinity, nan = float("inf"), float("nan")
corners = torch.tensor([-infinity, -100, -88, -20, -3.000001, -3, -2.999999, -1e-6, -0.0, 0, 1e-6, 2.999999, 3, 3.000001,
                        20, 88, 100, infinity, nan])
for name, function in {"sigmoid": torch.sigmoid, "silu": F.silu, "hardswish": F.hardswish,
                       "hardsigmoid": F.hardsigmoid, "tanh": torch.tanh}.items():
    golden.op(name, function, lambda: {"x": values(3, 9, scale=3)})
    golden.op(name + " at its corners", function, {"x": corners[:-1] if name == "hardswish" else corners})
for slope in (0.01, 0.25, 0.0, 1.5):
    golden.op("leaky_relu by %g" % slope, lambda x: F.leaky_relu(x, slope),
              lambda: {"x": torch.cat([values(11), torch.zeros(1)])}, {"negative_slope": slope})


def prelu(name, x, channels):
    golden.op("prelu " + name, lambda x, w: torch.where(x > 0, x, w * x) if x.dim() == 1
              else F.prelu(x.movedim(-1, 1), w).movedim(1, -1),
              lambda: {"x": values(*x), "weight": values(channels, scale=0.3)})


prelu("of an image", (2, 3, 2, 4), 4)
prelu("of one slope", (2, 3, 2, 4), 1)
prelu("of rows", (3, 5), 5)
prelu("of a vector", (6,), 6)
golden.write()
