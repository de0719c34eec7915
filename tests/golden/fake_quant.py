"""torch.fake_quantize_* forward and gradient. Left out, as SPEC.md says: +inf and whatever is above 2^31 scales, where
PyTorch 1.13 gives qmin."""
import torch

import common
from common import values

golden = common.Area(__file__)
INF = float("inf")


def scale_of(reach):
    """As scale_from_range computes it, in float32."""
    return (torch.tensor(reach, dtype=torch.float32) / 127.5).item()


def per_tensor(name, x, reach, qmin=-128, qmax=127):
    golden.seed(name)
    x = (x() if callable(x) else torch.tensor(x)).float().requires_grad_()
    y = torch.fake_quantize_per_tensor_affine(x, scale_of(reach), 0, qmin, qmax)
    dy = values(*y.shape)
    y.backward(dy)
    golden.record(name, {"reach": reach, "qmin": qmin, "qmax": qmax}, {"x": x}, {"y": y}, {"y": dy, "x": x.grad})


# The scale is exactly 1, then 1/8: every half is a tie.
halves = [k + 0.5 for k in range(-12, 12)]
ends = [-INF, -1e9, -200.0, -129.0, -128.75, -128.5, -128.25, -128.0, -127.5, 0.0, -0.0, 126.5, 127.0, 127.25, 127.5,
        127.75, 128.0, 128.5, 300.0, 1e9]
per_tensor("ties", halves, 127.5)
per_tensor("ties on a smaller grid", [h / 8 for h in halves], 127.5 / 8)
per_tensor("the ends of the range", ends, 127.5)
per_tensor("normal values", lambda: values(7, 40), 1.7)
# Division by the scale and multiplication with its inverse round apart for some of these.
per_tensor("near ties", lambda: (torch.arange(-300, 300) / 2 + 0.25).mul(scale_of(2.3)) + 1e-9, 2.3)
per_tensor("exact ties of an odd scale", lambda: (torch.arange(-300, 300) + 0.5) * scale_of(2.3), 2.3)


def per_channel(name, shape, scale=1.0):
    golden.seed(name)
    w = values(*shape, scale=scale)
    scales = torch.clamp(w.flatten(1).abs().amax(1) / 127.5, min=torch.finfo(torch.float32).eps)
    y = torch.fake_quantize_per_channel_affine(w, scales, torch.zeros(shape[0], dtype=torch.int32), 0, -128, 127)
    golden.record(name, {}, {"w": w}, {"y": y, "scales": scales})


def clipped_channels(name, shape, clip):
    """Weights whose ranges are limited to +-clip, and their gradient; some channels are within."""
    golden.seed(name)
    w = (values(*shape) * torch.linspace(0.1, 2, shape[0]).reshape(-1, *[1] * (len(shape) - 1))).requires_grad_()
    reach = w.detach().flatten(1).abs().amax(1).clamp(max=clip)
    scales = torch.clamp(reach / 127.5, min=torch.finfo(torch.float32).eps)
    y = torch.fake_quantize_per_channel_affine(w, scales, torch.zeros(shape[0], dtype=torch.int32), 0, -128, 127)
    dy = values(*shape)
    y.backward(dy)
    assert 0 < (w.grad != 0).sum() < w.numel()
    golden.record(name, {"clip": clip}, {"clipped": w}, {"y": y, "scales": scales}, {"y": dy, "clipped": w.grad})


def of_type(name, qmin, qmax, scale):
    """Integers of other types: values on both sides of the range, ties, and what is beyond every integer."""
    golden.seed(name)
    span = qmax - qmin
    spread = torch.rand(60) * 1.5 * span + qmin - 0.25 * span
    ties = torch.arange(qmin - 3, qmin + 4) + 0.5
    more = torch.tensor([-INF, -1e9, qmin - 0.5, qmin - 0.25, qmax + 0.25, qmax + 0.5, qmax - 0.5, 0.0, 1e9])
    v = (torch.cat([spread, ties, torch.flip(-ties, [0]), more]) * scale).float().requires_grad_()
    y = torch.fake_quantize_per_tensor_affine(v, scale, 0, qmin, qmax)
    dy = values(*v.shape)
    y.backward(dy)
    golden.record(name, {"qmin": qmin, "qmax": qmax, "scale": scale}, {"v": v}, {"y": y}, {"y": dy, "v": v.grad})


def channels_of_type(name, qmin, qmax, scales):
    """One scale for each row: ties of the whole range, its ends from both sides, and what is beyond every integer."""
    golden.seed(name)
    ties = torch.arange(qmin - 2, qmin + 4) + 0.5
    more = torch.tensor([-INF, -1e9, qmin - 0.75, qmin - 0.25, qmax + 0.25, qmax + 0.75, 0.0, -0.0, 1e9])
    units = torch.cat([ties, -ties, torch.arange(-6, 6) + 0.5, more, torch.rand(9) * (qmax - qmin) * 1.3 + qmin])
    s = torch.tensor(scales, dtype=torch.float32)
    c = (units.reshape(1, -1) * s.reshape(-1, 1)).float().requires_grad_()
    y = torch.fake_quantize_per_channel_affine(c, s, torch.zeros(s.numel(), dtype=torch.int32), 0, qmin, qmax)
    dy = values(*c.shape)
    y.backward(dy)
    assert not c.grad[units.expand_as(c) == -INF].any()
    golden.record(name, {"qmin": qmin, "qmax": qmax}, {"channels": c, "scales": s}, {"y": y},
                  {"y": dy, "channels": c.grad})


channels_of_type("channels of int8", -128, 127, [1.0, 0.125, scale_of(2.3), 2.0 ** -23])
channels_of_type("channels of int4", -8, 7, [1.0, scale_of(40.0)])
channels_of_type("channels of uint4", 0, 15, [0.5, scale_of(2.3)])
channels_of_type("channels of int16", -32768, 32767, [2.0 ** -10, scale_of(2.3) / 256])
clipped_channels("clipped weights of a convolution", (6, 3, 3, 4), 1.0)
clipped_channels("clipped weights of a linear layer", (5, 17), 0.75)
of_type("int16", -32768, 32767, 2.0 ** -12)
of_type("int16, an odd scale", -32768, 32767, scale_of(2.3) / 256)
of_type("int4", -8, 7, 0.25)
of_type("int4, an odd scale", -8, 7, scale_of(2.3))
of_type("uint4", 0, 15, 0.5)
of_type("int2", -2, 1, 0.5)
of_type("uint2", 0, 3, scale_of(2.3))
per_channel("weights of a convolution", (5, 3, 3, 4))
per_channel("weights of a linear layer", (4, 30), 0.1)


def integer_net():
    """A small network in float64 with fake quantisation as plain formulas: SPEC.md, section 3, `qat` with stored
    scales. What is integer in sinter is rounded here; gradients are straight through. Scales are powers of two and the
    mean is over 16 positions, so that sinter's multipliers are exact and both round to the same integers."""
    name = "network"
    golden.seed(name)

    def rounded(v, scale, low=-128, high=127):
        r = torch.round(v / scale)
        inside = (r >= low) & (r <= high)
        # forward: the quantised value; backward: 1 inside, 0 outside
        return torch.where(inside, v, v.detach()) + (torch.clamp(r, low, high) * scale - v).detach()

    def weights(w):
        scales = torch.exp2(torch.ceil(torch.log2(w.detach().flatten(1).abs().amax(1) / 127.5)))
        s = scales.double().reshape(-1, *[1] * (w.dim() - 1))
        return w + (torch.clamp(torch.round(w / s), -128, 127) * s - w).detach(), scales

    def bias(b, sx, sw):
        return b + (torch.round(b / (sx * sw)) * (sx * sw) - b).detach()

    def conv(x, sx, w, b, skip=None):
        wq, sw = weights(w)
        y = torch.nn.functional.conv2d(x, wq.permute(0, 3, 1, 2), padding=1) + bias(b, sx, sw).reshape(1, -1, 1, 1)
        return y if skip is None else y + skip

    x = values(2, 4, 4, 3)
    p = {"w1": values(6, 3, 3, 3, scale=0.4), "b1": values(6, scale=0.2), "w2": values(6, 3, 3, 6, scale=0.3),
         "b2": values(6, scale=0.2), "w3": values(4, 6), "b3": values(4)}
    reach = {"input": 127.5 / 64, "conv1": 127.5 / 64, "conv2": 127.5 / 32, "mean": 127.5 / 64}
    s = {key: scale_of(value) for key, value in reach.items()}
    leaves = {key: value.float().double().requires_grad_() for key, value in {"x": x, **p}.items()}
    x0 = rounded(leaves["x"].permute(0, 3, 1, 2), s["input"])
    x1 = rounded(torch.relu(conv(x0, s["input"], leaves["w1"], leaves["b1"])), s["conv1"])
    x2 = rounded(torch.relu(conv(x1, s["conv1"], leaves["w2"], leaves["b2"], x1)), s["conv2"])
    m = rounded(x2.mean((2, 3)), s["mean"])
    wq, sw = weights(leaves["w3"])
    y = m @ wq.T + bias(leaves["b3"], s["mean"], sw)
    dy = values(*y.shape)
    y.backward(dy.double())
    clipped = {"clipped": torch.tensor([float((x2 >= 127 * s["conv2"]).sum()), float((x1 >= 127 * s["conv1"]).sum())])}
    assert (clipped["clipped"] > 0).all(), clipped
    golden.record(name, reach, {"x": x, **p}, {"y": y}, {"y": dy, **{k: leaf.grad for k, leaf in leaves.items()}})


integer_net()
golden.write()
