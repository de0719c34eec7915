"""Observers: PyTorch's moving average of minima and maxima, and the percentile of SPEC.md, section 2, in numpy."""
import numpy
import torch
from torch.ao.quantization import MovingAverageMinMaxObserver

import common
from common import values

golden = common.Area(__file__)


def min_max(name, c, batches):
    golden.seed(name)
    observer = MovingAverageMinMaxObserver(averaging_constant=c, dtype=torch.qint8,
                                           qscheme=torch.per_tensor_symmetric)
    inputs, ranges, scales = {}, [], []
    for i, batch in enumerate(batches()):
        inputs[f"batch{i}"] = batch
        observer(batch)
        ranges.append(torch.stack([observer.min_val, observer.max_val]))
        scales.append(observer.calculate_qparams()[0].reshape(()))
    golden.record(name, {"averaging_constant": c}, inputs, {"ranges": torch.stack(ranges), "scales": torch.stack(scales)})


min_max("min_max, five batches", 0.01, lambda: [values(40, scale=1 + i, offset=0.2 * i) for i in range(5)])
min_max("min_max, fast", 0.5, lambda: [values(7, 3, scale=3 / (1 + i)) for i in range(4)])
min_max("min_max, never negative", 0.1, lambda: [values(30).abs() for _ in range(3)])
min_max("min_max, never positive", 0.1, lambda: [-values(30).abs() for _ in range(3)])
min_max("min_max, frozen", 0.0, lambda: [values(30, scale=1 + i) for i in range(3)])
min_max("min_max, all zero", 0.01, lambda: [torch.zeros(5), torch.zeros(5)])
min_max("min_max, tiny", 0.01, lambda: [values(5) * 1e-7, values(5) * 1e-7])


def percentile(name, p, bins, c, batches):
    golden.seed(name)
    inputs, ranges, running = {}, [], None
    for i, batch in enumerate(batches()):
        inputs[f"batch{i}"] = batch
        x = batch.numpy().astype(numpy.float64).ravel()
        limit = numpy.abs(x).max()
        counts, _ = numpy.histogram(numpy.abs(x), bins=bins, range=(0, limit))
        reached = int(numpy.argmax(numpy.cumsum(counts) >= p / 100 * x.size))
        clip = (reached + 0.5) * limit / bins
        seen = numpy.array([max(x.min(), -clip), min(x.max(), clip)])
        running = seen if running is None else running + c * (seen - running)
        ranges.append(torch.tensor(running))
    golden.record(name, {"percentile": p, "bins": bins, "averaging_constant": c}, inputs,
                  {"ranges": torch.stack(ranges)})


percentile("percentile, defaults", 99.99, 2048, 0.01, lambda: [values(300), values(300, scale=2)])
percentile("percentile, 90", 90.0, 2048, 0.1, lambda: [values(20, 10), values(20, 10, offset=1), values(20, 10)])
percentile("percentile, few bins", 99.0, 16, 0.5, lambda: [values(200), values(200, scale=0.1)])
percentile("percentile, never negative", 95.0, 128, 0.01, lambda: [values(200).abs()])
percentile("percentile, 100", 100.0, 64, 0.01, lambda: [values(100)])
golden.write()
