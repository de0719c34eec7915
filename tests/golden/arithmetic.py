"""add, sub, mul and div, with broadcasting."""
import torch

import common
from common import values

golden = common.Area(__file__)
operations = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div,
              "minimum": torch.minimum, "maximum": torch.maximum}


def all_four(name, a, b):
    def inputs():
        divisor = values(*b)  # away from zero
        return {"a": values(*a), "b": torch.where(divisor < 0, divisor - 0.5, divisor + 0.5)}

    for operation, function in operations.items():
        golden.op(operation + " " + name, function, inputs)


all_four("same shapes", (2, 3, 4), (2, 3, 4))
all_four("per channel", (2, 3, 4), (4,))
all_four("fewer axes on the left", (3,), (2, 2, 3))
all_four("both broadcast", (2, 1, 3), (4, 1))
all_four("a middle axis", (2, 3, 2), (2, 1, 2))
all_four("outer", (4, 1), (1, 5))
all_four("a number on the right", (2, 3), ())
all_four("a number on the left", (), (2, 3))
all_four("numbers", (), ())
for operation, function in operations.items():
    golden.op(operation + " special values", function,
              {"a": torch.tensor([1, -1, 0, float("inf"), -float("inf"), float("nan")]),
               "b": torch.tensor([[0], [float("inf")], [2]])}, gradients=False)
for operation in ("minimum", "maximum"):
    golden.op(operation + " equal and special values", operations[operation],
              {"a": torch.tensor([1, 2, 2, float("nan"), 3, -float("inf")]), "b": torch.tensor([2, 2, 1, 0, float("nan"), 1])})
golden.write()
