"""Functions of one number, at ordinary values and at their corners."""
import torch
from torch.nn import functional as F

import common
from common import values

golden = common.Area(__file__)
infinity, nan = float("inf"), float("nan")
corners = torch.tensor([-infinity, -100, -20, -3, -1, -0.5, -1e-6, 0, 1e-6, 0.5, 1, 3, 20, 100, infinity, nan])


def case(name, function, attributes={}, positive=False, kinks=corners):
    golden.op(name, function, lambda: {"x": values(3, 9, scale=2).abs() + 0.05 if positive else values(3, 9, scale=2)},
              attributes)
    golden.op(name + " at its corners", function, {"x": kinks}, attributes)


case("exp", torch.exp)
case("log", torch.log, positive=True)
case("sqrt", torch.sqrt, positive=True)
case("rsqrt", torch.rsqrt, positive=True)
case("abs", torch.abs)
case("reciprocal", torch.reciprocal, positive=True)
case("mish", F.mish, kinks=corners[1:-2])
case("softsign", F.softsign, kinks=corners[1:-2])
for exponent in (2.0, 3.0, 1.0, 0.0, -1.0, -2.0, 0.5, -0.5, 0.75, 2.2, 5.0, -3.0):
    case("pow %g" % exponent, lambda x: torch.pow(x, exponent), {"exponent": exponent}, positive=exponent != round(exponent),
         kinks=corners)
for alpha in (1.0, 0.3):
    case("elu %g" % alpha, lambda x: F.elu(x, alpha), {"alpha": alpha})
for beta, threshold in ((1.0, 20.0), (2.0, 5.0)):
    case("softplus %g" % beta, lambda x: F.softplus(x, beta, threshold), {"beta": beta, "threshold": threshold},
         kinks=corners)
for approximate in ("none", "tanh"):
    case("gelu " + approximate, lambda x: F.gelu(x, approximate=approximate), {"approximate": approximate},
         kinks=corners[1:-2])
for low, high in ((-1.0, 2.0), (-infinity, 0.5), (-0.5, infinity)):
    case("clamp %g %g" % (low, high), lambda x: torch.clamp(x, low, high),
         {key: value for key, value in (("min", low), ("max", high)) if abs(value) != infinity})
golden.write()
