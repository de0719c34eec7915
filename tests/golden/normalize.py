"""var, std, layer_norm, group_norm, where and comparisons."""
import torch
from torch.nn import functional as F

import common
from common import values

golden = common.Area(__file__)
for axes, correction, keep in (([], 1, False), ([1, 2], 0, False), ([-1], 1, True), ([0, 2], 2, False)):
    for name, f in ("var", torch.var), ("std", torch.std):
        golden.op("%s over %s, correction %d" % (name, axes, correction),
                  lambda x: f(x, axes if axes else [0, 1, 2, 3], correction=correction, keepdim=keep),
                  lambda: {"x": values(2, 3, 4, 2, offset=5)}, {"axes": axes, "correction": correction, "keep": keep})
for axes, affine in ((1, 2), (2, 2), (1, 1), (1, 0)):
    last = (5,) if axes == 1 else (4, 5)
    golden.op("layer_norm of %d, %d" % (axes, affine),
              lambda x, *wb: F.layer_norm(x, last, *wb, eps=1e-4),
              lambda: {"x": values(2, 3, 4, 5, scale=2, offset=1), **{k: values(*last) for k in ("weight", "bias")[:affine]}},
              {"axes": axes, "eps": 1e-4})
for groups, affine in ((1, 2), (2, 2), (6, 2), (3, 0)):
    golden.op("group_norm of %d, %d" % (groups, affine),
              lambda x, *wb: F.group_norm(x.movedim(-1, 1), groups, *wb, eps=1e-3).movedim(1, -1),
              lambda: {"x": values(2, 3, 4, 6, scale=2, offset=1), **{k: values(6) for k in ("weight", "bias")[:affine]}},
              {"groups": groups, "eps": 1e-3})
nan, infinity = float("nan"), float("inf")
a, b = torch.tensor([1, 2, nan, infinity, -1, nan]), torch.tensor([[2], [nan], [-1], [infinity]])
for relation in ("eq", "ne", "lt", "le", "gt", "ge"):
    golden.op(relation, lambda x, y: getattr(torch, relation)(x, y).float(), {"a": a, "b": b}, gradients=False)
golden.op("where", lambda c, x, y: torch.where(c.detach() != 0, x, y),
          lambda: {"a": torch.randint(0, 2, (3, 1)).float(), "b": values(2, 3, 4), "c": values(4)})
for correction in (0, 1):
    golden.op("std of equal values, correction %d" % correction, lambda x: torch.std(x, [1], correction=correction),
              {"x": torch.tensor([[2.5, 2.5, 2.5], [1, 2, 4], [0, 0, 0]])},
              {"axes": [1], "correction": correction, "keep": False})
golden.write()
