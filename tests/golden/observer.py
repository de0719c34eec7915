"""Observers: PyTorch's moving average of minima and maxima, and the percentile of SPEC.md, section 2, in numpy."""
import numpy
import torch
from torch.ao.quantization import (MinMaxObserver, MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver,
                                   PerChannelMinMaxObserver)

import common
from common import values

golden = common.Area(__file__)


def min_max(name, c, batches):
    """PyTorch's average, which has no warm-up."""
    golden.seed(name)
    observer = MovingAverageMinMaxObserver(averaging_constant=c, dtype=torch.qint8,
                                           qscheme=torch.per_tensor_symmetric)
    inputs, ranges, scales = {}, [], []
    for i, batch in enumerate(batches()):
        inputs[f"batch{i}"] = batch
        observer(batch)
        ranges.append(torch.stack([observer.min_val, observer.max_val]))
        scales.append(observer.calculate_qparams()[0].reshape(()))
    golden.record(name, {"averaging_constant": c, "warm_up": False}, inputs,
                  {"ranges": torch.stack(ranges), "scales": torch.stack(scales)})


min_max("min_max, five batches", 0.01, lambda: [values(40, scale=1 + i, offset=0.2 * i) for i in range(5)])
min_max("min_max, fast", 0.5, lambda: [values(7, 3, scale=3 / (1 + i)) for i in range(4)])
min_max("min_max, never negative", 0.1, lambda: [values(30).abs() for _ in range(3)])
min_max("min_max, never positive", 0.1, lambda: [-values(30).abs() for _ in range(3)])
min_max("min_max, frozen", 0.0, lambda: [values(30, scale=1 + i) for i in range(3)])
min_max("min_max, all zero", 0.01, lambda: [torch.zeros(5), torch.zeros(5)])
min_max("min_max, tiny", 0.01, lambda: [values(5) * 1e-7, values(5) * 1e-7])


def record_channels(name, attributes, observer, batches):
    """Ranges and scales per channel (axis 0) after each batch."""
    golden.seed(name)
    inputs, ranges, scales = {}, [], []
    for i, batch in enumerate(batches()):
        inputs[f"batch{i}"] = batch
        observer(batch)
        ranges.append(torch.stack([observer.min_val, observer.max_val], 1))
        scales.append(observer.calculate_qparams()[0])
    golden.record(name, attributes, inputs, {"ranges": torch.stack(ranges), "scales": torch.stack(scales)})


def channels(name, batches):
    """Weights: each step's ranges are the current values' alone."""
    record_channels(name, {"averaging_constant": 1.0},
                    PerChannelMinMaxObserver(ch_axis=0, dtype=torch.qint8, qscheme=torch.per_channel_symmetric), batches)


def averaged_channels(name, c, batches):
    observer = MovingAveragePerChannelMinMaxObserver(averaging_constant=c, ch_axis=0, dtype=torch.qint8,
                                                     qscheme=torch.per_channel_symmetric)
    record_channels(name, {"averaging_constant": c}, observer, batches)


def odd_channels():
    """Dead, tiny, never negative, never positive, with an outlier."""
    w = values(6, 3, 3, 2)
    w[0], w[1], w[2], w[3] = 0, w[1] * 1e-7, w[2].abs(), -w[3].abs()
    w[4, 0, 0, 0] = 50
    return w


channels("channels of a convolution", lambda: [odd_channels()])
channels("channels of a linear layer", lambda: [values(4, 30, scale=0.1)])
averaged_channels("channels, averaged", 0.01, lambda: [values(5, 12, scale=1 + i, offset=0.2 * i) for i in range(4)])
averaged_channels("channels, averaged fast", 0.5, lambda: [odd_channels() * (i + 1) for i in range(3)])
averaged_channels("channels, frozen", 0.0, lambda: [odd_channels() * (i + 1) for i in range(2)])


def scale_of_type(name, qmin, qmax, dtype=torch.qint8):
    golden.seed(name)
    observer = MinMaxObserver(dtype=dtype, qscheme=torch.per_tensor_symmetric, quant_min=qmin, quant_max=qmax)
    x = values(40, offset=0.3)
    observer(x)
    golden.record(name, {"qmin": qmin, "qmax": qmax}, {"x": x}, {"scale": observer.calculate_qparams()[0].reshape(())})


scale_of_type("type int4", -8, 7)
scale_of_type("type int2", -2, 1)
scale_of_type("type int8", -128, 127)
scale_of_type("type int16", -32768, 32767, torch.qint32)


def batch_weight(c, k, warm_up=True):
    """What batch k (from 1) weighs: until 1 / k falls below c all weigh alike; c = 0 keeps the first."""
    return 1 if k == 1 else max(c, 1 / k) if warm_up and c > 0 else c


def observed(name, keywords, batches, observe):
    """The running average, by `averaging_constant`, of what observe(values in float64) says of each batch."""
    golden.seed(name)
    inputs, ranges, running = {}, [], 0
    for i, batch in enumerate(batches()):
        inputs[f"batch{i}"] = batch
        seen = numpy.array(observe(batch.numpy().astype(numpy.float64).ravel()))
        weight = batch_weight(keywords["averaging_constant"], i + 1, keywords.get("warm_up", True))
        running = running + weight * (seen - running)
        ranges.append(torch.tensor(running))
    golden.record(name, keywords, inputs, {"ranges": torch.stack(ranges)})


def tailed(*shape, scale=1.0):
    """Values with outliers, with three decimals too."""
    return torch.round(1000 * values(*shape, scale=scale) ** 3) / 1000


def clipped(x, reach):
    return max(x.min(), -reach), min(x.max(), reach)


def percentile_range(x, p, bins):
    limit = numpy.abs(x).max()
    if p == 100:
        return x.min(), x.max()
    counts, _ = numpy.histogram(numpy.abs(x), bins=bins, range=(0, limit))
    reached = int(numpy.argmax(numpy.cumsum(counts) >= p / 100 * x.size))
    return clipped(x, (reached + 0.5) * limit / bins)


def percentile(name, p, bins, c, batches, **more):
    observed(name, {"percentile": p, "bins": bins, "averaging_constant": c, **more}, batches,
             lambda x: percentile_range(x, p, bins))


percentile("percentile, defaults", 99.99, 2048, 0.01, lambda: [values(300), values(300, scale=2)])
percentile("percentile, 90", 90.0, 2048, 0.1, lambda: [values(20, 10), values(20, 10, offset=1), values(20, 10)])
percentile("percentile, few bins", 99.0, 16, 0.5, lambda: [values(200), values(200, scale=0.1)])
percentile("percentile, never negative", 95.0, 128, 0.01, lambda: [values(200).abs()])
percentile("percentile, 100", 100.0, 64, 0.01, lambda: [values(100)])
percentile("percentile, warm-up ends at the fourth batch", 98.0, 512, 0.3,
           lambda: [values(80, scale=1 + i) for i in range(6)])
percentile("percentile, ten batches are averaged alike", 98.0, 512, 0.01,
           lambda: [values(40, scale=9 - i) for i in range(10)])
percentile("percentile, no warm-up", 98.0, 512, 0.3, lambda: [values(80, scale=1 + i) for i in range(6)],
           warm_up=False)


def clip_std(name, k, c, batches):
    observed(name, {"std_scale": k, "averaging_constant": c}, batches,
             lambda x: (max(x.min(), x.mean() - k * x.std()), min(x.max(), x.mean() + k * x.std())))


clip_std("clip_std, three deviations", 3.0, 0.01, lambda: [values(400), values(400, scale=2, offset=1)])
clip_std("clip_std, one deviation", 1.0, 0.5, lambda: [values(50, offset=3), values(5, 10, offset=-2), values(50)])
clip_std("clip_std, wider than the values", 9.0, 0.1, lambda: [values(30).abs(), values(30)])
clip_std("clip_std, all zero", 3.0, 0.01, lambda: [torch.zeros(5)])


def clip(name, keywords, batches):
    observed(name, keywords, batches,
             lambda x: numpy.clip([x.min(), x.max()], keywords.get("min"), keywords.get("max")))


clip("clip, both ends", {"min": -1.0, "max": 1.5, "averaging_constant": 1.0}, lambda: [values(30), values(30) / 10])
clip("clip, only from above", {"max": 1.0, "averaging_constant": 0.25}, lambda: [values(30), values(30, offset=9)])
clip("clip, only from below", {"min": 0.0, "averaging_constant": 0.5}, lambda: [values(30), values(30, scale=3)])


def fixed_scale(name, scale, batches):
    observed(name, {"scale": scale, "averaging_constant": 0.01}, batches, lambda x: (x.min(), x.max()))


fixed_scale("fixed_scale, a power of two", 1 / 128, lambda: [values(30), values(30, scale=2)])
fixed_scale("fixed_scale, a tenth", 0.1, lambda: [torch.zeros(3), values(30)])


TYPES = {"int16": (-32768, 32767), "int8": (-128, 127), "int4": (-8, 7), "int2": (-2, 1)}


def squared_error(x, low, high, dtype="int8"):
    """The squared error with the range's scale, in float32 where the integers are decided."""
    qmin, qmax = TYPES[dtype]
    scale = numpy.float32(max(-low, high, 0)) / numpy.float32((qmax - qmin) / 2)
    scale = max(scale, numpy.float32(2.0 ** -23))
    q = numpy.clip(numpy.round(x.astype(numpy.float32) * (numpy.float32(1) / scale)), qmin, qmax)
    return ((x - q.astype(numpy.float64) * numpy.float64(scale)) ** 2).sum()


def least(errors):
    """The first of the least; none may be so near to another that rounding decides, unless they are the same."""
    best = int(numpy.argmin(errors))
    assert all(error == errors[best] or error > errors[best] * 1.00001 for error in errors)
    return best


def mse_range(x, dtype="int8"):
    candidates = [(x.min() * percent / 100, x.max() * percent / 100) for percent in range(100, 5, -1)]
    return candidates[least([squared_error(x, *candidate, dtype) for candidate in candidates])]


def of_type(dtype):
    return {} if dtype == "int8" else {"dtype": dtype}


def mse(name, c, batches, dtype="int8"):
    observed(name, {"averaging_constant": c, **of_type(dtype)}, batches, lambda x: mse_range(x, dtype))


mse("mse, normal", 0.01, lambda: [values(500), values(500, scale=3)])
mse("mse, outliers", 0.5, lambda: [tailed(1000), tailed(20, 30)])
mse("mse, never negative", 0.1, lambda: [tailed(400).abs(), values(300).abs()])
mse("mse, all zero", 0.1, lambda: [torch.zeros(9), values(100)])
mse("mse, two values", 0.1, lambda: [torch.tensor([-1.0, 1.0])])
mse("mse, int4", 0.25, lambda: [values(300), tailed(300)], "int4")
mse("mse, int2, never positive", 0.5, lambda: [-values(200).abs(), -tailed(200).abs()], "int2")
mse("mse, int16", 0.25, lambda: [values(100), tailed(100, scale=2)], "int16")


class Kl:
    def __init__(self, bins, update_interval, dtype):
        self.bins, self.update_interval, self.levels = bins, update_interval, (TYPES[dtype][1] + 1)
        self.counts, self.width, self.threshold, self.seen = None, 0, 0, []

    def divergence(self, i):
        levels = self.levels
        counts = self.counts.astype(numpy.float64)
        counts[0] = counts[1]
        p = counts[:i].copy()
        p[-1] += counts[i:].sum()
        q = numpy.zeros(i)
        level = numpy.arange(i) * levels // i
        for j in range(levels):
            members = (level == j) & (counts[:i] > 0)
            if members.any():
                q[members] = counts[:i][members].mean()
        if (q[p > 0] == 0).any() or counts[i:].sum() > counts[:i].sum():
            return numpy.inf
        p, q = p / p.sum(), q / q.sum()
        return (p[p > 0] * numpy.log(p[p > 0] / q[p > 0])).sum()

    def bins_to_keep(self):
        """The most of the best."""
        divergences = [self.divergence(i) for i in range(self.levels, self.counts.size + 1)]
        if not divergences:  # more integers than bins: nothing can be gained
            return self.counts.size
        ties = [i for i, d in enumerate(divergences) if d < min(divergences) + 1e-9]
        assert len(ties) == 1 or max(divergences[i] for i in ties) < 1e-12  # nothing is lost in several ways
        return ties[-1] + self.levels

    def observe(self, x):
        size, reach = numpy.abs(x), numpy.abs(x).max()
        if reach > 0:
            if self.counts is None:
                self.counts, self.width = numpy.zeros(self.bins, dtype=int), reach / self.bins
            while reach > self.width * 16 * self.bins:
                merged = numpy.zeros_like(self.counts)
                numpy.add.at(merged, numpy.arange(merged.size) // 2, self.counts)
                self.counts = merged
                self.width *= 2
            bins = min(max(self.counts.size, int(numpy.ceil(reach / self.width))), 16 * self.bins)
            self.counts = numpy.append(self.counts, numpy.zeros(bins - self.counts.size, dtype=int))
            at = (size * (bins / (self.width * bins))).astype(int)
            self.counts += numpy.bincount(numpy.minimum(at, bins - 1), minlength=bins)
        if self.counts is not None and (self.threshold == 0 or len(self.seen) % self.update_interval == 0):
            self.threshold = (self.bins_to_keep() + 0.5) * self.width
        self.seen.append(x)
        return clipped(numpy.concatenate(self.seen), self.threshold)


def kl(name, keywords, batches):
    observer = Kl(keywords.get("bins", 512), keywords.get("update_interval", 1), keywords.get("dtype", "int8"))
    observed(name, {"averaging_constant": 1.0, **keywords}, batches, observer.observe)


kl("kl, outliers", {}, lambda: [tailed(1500), tailed(1500)])
kl("kl, after a ReLU", {}, lambda: [values(1500).clamp(min=0), values(1000, offset=-1).clamp(min=0)])
kl("kl, larger values later", {"bins": 256, "update_interval": 2},
   lambda: [torch.zeros(4), values(700), values(700, scale=3), values(500, scale=2), values(500)])
kl("kl, pairs of bins become one", {"bins": 128, "averaging_constant": 0.5},
   lambda: [values(600), values(600, scale=40), values(600, scale=7)])
kl("kl, all zero", {}, lambda: [torch.zeros(4), torch.zeros(4)])
kl("kl, int4", {"dtype": "int4", "bins": 256}, lambda: [tailed(600), values(600)])
kl("kl, int2", {"dtype": "int2", "bins": 128}, lambda: [values(500).abs()])
kl("kl, int16", {"dtype": "int16", "bins": 128}, lambda: [tailed(200), tailed(200, scale=0.3)])
kl("kl, sixteen levels", {}, lambda: [torch.randint(0, 16, (400,)).float()])
kl("kl, sixteen levels, most of them small", {},
   lambda: [torch.floor(16 * torch.rand(300) ** 4), torch.floor(16 * torch.rand(300) ** 4)])
kl("kl, one value", {}, lambda: [torch.full((20,), 3.0)])
kl("kl, two values", {}, lambda: [torch.tensor([0.0, 1.0]).repeat(20), torch.tensor([-0.25, 1.0]).repeat(20)])


class Mix:
    def __init__(self, dtype):
        self.running, self.batches, self.errors, self.dtype = 0, 0, numpy.zeros(5), dtype

    def observe(self, x):
        seen = [(x.min(), x.max()), *[percentile_range(x, p, 2048) for p in (99.9, 99.99, 99.999)],
                mse_range(x, self.dtype)]
        seen = numpy.array(seen)
        self.batches += 1
        self.running = self.running + batch_weight(0.01, self.batches) * (seen - self.running)
        self.errors += [squared_error(x, *candidate, self.dtype) for candidate in self.running]
        return self.running[least(self.errors)]


def mix(name, batches, dtype="int8"):
    observed(name, {"averaging_constant": 1.0, **of_type(dtype)}, batches, Mix(dtype).observe)


mix("mix, the error of a small batch does not change the choice", lambda: [tailed(2000), values(300)])
mix("mix, even", lambda: [torch.arange(-127, 128) / 4.0, values(100)])
mix("mix, the choice changes", lambda: [values(200, scale=0.1), tailed(1500, scale=2), values(500, scale=2)])
mix("mix, int4", lambda: [tailed(400), values(300)], "int4")
mix("mix, int2", lambda: [values(300), tailed(300, scale=2)], "int2")
mix("mix, int16", lambda: [values(200, scale=0.2), tailed(200)], "int16")
golden.write()
