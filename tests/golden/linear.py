"""linear and matmul."""
import torch
from torch.nn import functional as F

import common
from common import values

golden = common.Area(__file__)


def case(name, function, *shapes):
    golden.op(name, function, lambda: {key: values(*shape) for key, shape in zip("abc", shapes)})


case("linear", F.linear, (3, 5), (4, 5))
case("linear with bias", F.linear, (3, 5), (4, 5), (4,))
case("linear of a vector", F.linear, (5,), (4, 5), (4,))
case("linear of images", F.linear, (2, 3, 2, 5), (4, 5), (4,))
case("linear to one value", F.linear, (4, 3), (1, 3), (1,))
case("matmul", torch.matmul, (3, 5), (5, 4))
case("matmul of a batch by one matrix", torch.matmul, (2, 3, 5), (5, 4))
case("matmul of two batches", torch.matmul, (2, 3, 5), (2, 5, 4))
case("matmul over two leading axes", torch.matmul, (2, 2, 1, 3), (2, 2, 3, 2))
case("matmul of broadcast batches", torch.matmul, (2, 1, 3, 4), (3, 4, 2))
case("matmul of one matrix by a batch", torch.matmul, (3, 4), (2, 4, 5))
for a, b in ((True, False), (False, True), (True, True)):
    golden.op("transposed matmul %d%d" % (a, b), lambda x, w: (x.mT if a else x) @ (w.mT if b else w),
              lambda: {"a": values(2, 4, 3) if a else values(2, 3, 4), "b": values(1, 5, 4) if b else values(1, 4, 5)},
              {"transpose_a": a, "transpose_b": b})
golden.write()
