"""reshape, flatten, concat, stack, pad, slice, pixel_shuffle, permute, gather, index_select and topk."""
import torch
from torch.nn import functional as F

import common
from common import nchw, nhwc, values

golden = common.Area(__file__)


def concat(name, axis, *shapes):
    golden.op("concat " + name, lambda *x: torch.cat(x, axis),
              lambda: {"x%d" % i: values(*shape) for i, shape in enumerate(shapes)}, {"axis": axis})


def pad(name, shape, before, after, value=0.0):
    sides = [n for pair in zip(reversed(before), reversed(after)) for n in pair]
    golden.op("pad " + name, lambda x: F.pad(x, sides, value=value), lambda: {"x": values(*shape)},
              {"before": before, "after": after, "value": float(value)})


golden.op("reshape", lambda x: x.reshape(4, 6), lambda: {"x": values(2, 3, 4)}, {"shape": [4, 6]})
golden.op("reshape to what is left", lambda x: x.reshape(2, 2, 6), lambda: {"x": values(2, 3, 4)}, {"shape": [0, 2, -1]})
golden.op("flatten", lambda x: x.flatten(1), lambda: {"x": values(2, 2, 3, 2)}, {"start_axis": 1})
golden.op("flatten from axis 2", lambda x: x.flatten(-2), lambda: {"x": values(2, 2, 3, 2)}, {"start_axis": -2})

concat("channels", -1, (2, 3, 2, 1), (2, 3, 2, 4), (2, 3, 2, 2))
concat("rows", 1, (2, 1, 2, 3), (2, 3, 2, 3))
concat("first axis", 0, (1, 4), (3, 4), (0, 4))
concat("one", 0, (2, 3))

pad("an image", (2, 3, 2, 2), [0, 1, 2, 0], [0, 2, 1, 0])
pad("channels", (1, 2, 2, 3), [0, 0, 0, 1], [0, 0, 0, 4], -1.5)
pad("every axis", (2, 1, 2), [1, 0, 2], [1, 3, 1], 2.5)
pad("one side of the first", (2, 3), [0, 0], [1, 0], -1000)
pad("nothing", (2, 3), [0, 0], [0, 0], 7.0)


def cut(name, shape, axis, begin, end, step=1):
    """`end` None: to the axis' end."""
    index = [slice(None)] * len(shape)
    index[axis] = slice(begin, end, step)
    golden.op("slice " + name, lambda x: x[tuple(index)], lambda: {"x": values(*shape)},
              {"axis": axis, "begin": begin, "step": step, **({} if end is None else {"end": end})})


cut("channels", (2, 2, 3, 5), -1, 1, 4)
cut("rows", (2, 4, 2, 2), 1, 2, None)
cut("columns from behind", (1, 2, 5, 2), 2, -3, -1)
cut("every second row", (2, 5, 2, 3), 1, 0, None, 2)
cut("every second column from the second", (1, 2, 6, 2), 2, 1, None, 2)
cut("every third channel", (2, 1, 2, 7), 3, 1, 6, 3)
cut("images", (3, 2, 2), 0, 1, 2)
cut("nothing", (2, 3), 1, 2, 2)


def shuffle(name, shape, upscale):
    golden.op("pixel_shuffle " + name, lambda x: nhwc(F.pixel_shuffle(nchw(x), upscale)), lambda: {"x": values(*shape)},
              {"upscale": upscale})


shuffle("by two", (2, 2, 3, 8), 2)
shuffle("by three to one channel", (1, 2, 2, 9), 3)
shuffle("by one", (1, 2, 3, 2), 1)
for shape, axes in (((2, 3, 4), [0, 2, 1]), ((2, 3, 4), [2, 0, 1]), ((2, 3, 2, 5), [0, 3, 1, 2]), ((2, 3, 2, 5), [0, 2, 1, 3]),
                    ((17, 35), [1, 0]), ((2, 1, 3, 2, 2), [4, 0, 3, 1, 2]), ((3, 2), [0, -1])):
    golden.op("permute %s to %s" % (shape, axes), lambda x: x.permute(axes), lambda: {"x": values(*shape)}, {"axes": axes})
for shape, axis, size in (((2, 5), 1, 3), ((4, 3, 2), 0, 6), ((2, 3, 4), -2, 2)):
    of_index = list(shape)
    of_index[axis] = size
    golden.op("gather from %s along %d" % (shape, axis), lambda x, i: x.gather(axis, i),
              lambda: {"x": values(*shape), "z": torch.randint(0, shape[axis], of_index)}, {"axis": axis})
for shape, axis, index in (((4, 3), 0, [2, 0, 2]), ((2, 5, 3), 1, [4, 4, 1, 0, 4, 3]), ((2, 3, 4), -1, [1])):
    golden.op("index_select from %s along %d" % (shape, axis), lambda x, i: x.index_select(axis, i),
              lambda: {"x": values(*shape), "index": torch.tensor(index)}, {"axis": axis})
for shape, axis, k, largest in (((2, 6), -1, 3, True), ((2, 6), -1, 6, False), ((2, 5, 3), 1, 2, True), ((4, 3), 0, 1, False)):
    golden.op("topk %d of %s along %d, %s" % (k, shape, axis, "largest" if largest else "least"),
              lambda x: x.topk(k, axis, largest)[0], lambda: {"x": values(*shape)},
              {"k": k, "axis": axis, "largest": largest})
for axis in 0, 1, 2, -1, -2:
    golden.op("stack along %d" % axis, lambda *x: torch.stack(x, axis),
              lambda: {"x%d" % i: values(2, 3) for i in range(3)}, {"axis": axis})
golden.write()
