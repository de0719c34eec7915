"""sum, mean and max over axes."""
import torch

import common
from common import values

golden = common.Area(__file__)


def dims(x, axes):
    return axes if axes else list(range(x.dim()))


operations = {"sum": lambda x, axes, keep: x.sum(dims(x, axes), keep),
              "mean": lambda x, axes, keep: x.mean(dims(x, axes), keep),
              "max": lambda x, axes, keep: x.amax(dims(x, axes), keep),
              "min": lambda x, axes, keep: x.amin(dims(x, axes), keep)}


def case(name, axes, keep, inputs, gradients=True):
    for operation, function in operations.items():
        golden.op(operation + " " + name, lambda x: function(x, axes, keep), inputs, {"axes": axes, "keep": keep},
                  gradients)


def special():
    x = values(5, 4)
    x[0] = -float("inf")
    x[1, 2] = float("nan")
    x[2, 0] = float("inf")
    x[3, 0], x[3, 3] = float("inf"), -float("inf")
    return {"x": x}


shape = (2, 3, 4, 2)
for keep in False, True:
    kept = ", kept" if keep else ""
    case("of everything" + kept, [], keep, lambda: {"x": values(*shape)})
    case("of the first axis" + kept, [0], keep, lambda: {"x": values(*shape)})
    case("of the last axis" + kept, [-1], keep, lambda: {"x": values(*shape)})
    case("of an image" + kept, [1, 2], keep, lambda: {"x": values(*shape)})
case("of two axes apart", [0, 2], False, lambda: {"x": values(*shape)})
case("of all but a middle axis", [3, 0, 1], True, lambda: {"x": values(*shape)})
case("of long rows", [1], False, lambda: {"x": values(2, 35)})
case("of a number", [], False, lambda: {"x": values()})
case("of equal values", [1], False, lambda: {"x": torch.randint(0, 2, (3, 6)).float()})
case("of special values", [1], False, special, False)
golden.write()
