"""softmax, log_softmax and argmax."""
import torch

import common
from common import values

golden = common.Area(__file__)


def special():
    x = values(6, 5)
    x[0] += 1000  # exp overflows without the largest value taken off
    x[1] -= 1000
    x[2, 1] = -float("inf")
    x[3, 2] = x[3, 4] = float("nan")
    x[4, 3] = float("inf")
    x[5] = -float("inf")
    return {"x": x}


for name, f in ("softmax", torch.softmax), ("log_softmax", torch.log_softmax):
    golden.op(name + " last axis", lambda x: f(x, -1), lambda: {"x": values(3, 7, scale=3)}, {"axis": -1})
    golden.op(name + " middle axis", lambda x: f(x, 1), lambda: {"x": values(2, 5, 3, scale=3)}, {"axis": 1})
    golden.op(name + " first axis", lambda x: f(x, 0), lambda: {"x": values(4, 3, scale=3)}, {"axis": 0})
    golden.op(name + " special values", lambda x: f(x, 1), special, {"axis": 1}, gradients=False)


def argmax(name, x, axis, keep):
    golden.op("argmax " + name, lambda x: torch.argmax(x, axis, keep), x, {"axis": axis, "keep": keep},
              gradients=False)


argmax("last axis", lambda: {"x": values(3, 7)}, -1, False)
argmax("middle axis, kept", lambda: {"x": values(2, 5, 3)}, 1, True)
argmax("first axis", lambda: {"x": values(4, 3)}, 0, False)
argmax("equal values", lambda: {"x": torch.randint(0, 3, (6, 8)).float()}, 1, False)
argmax("special values", special, 1, False)
golden.write()
