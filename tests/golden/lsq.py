"""torch.ao.quantization._learnable_fake_quantize: forward, and the gradients of values and scales, without gradient
scaling and with zero point 0. Left out, as in fake_quant.py: what is above 2^31 scales."""
import torch
from torch.ao.quantization import MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver
from torch.ao.quantization._learnable_fake_quantize import _LearnableFakeQuantize

import common
from common import values

golden = common.Area(__file__)
TYPES = {"int8": (-128, 127), "int4": (-8, 7), "int2": (-2, 1), "uint4": (0, 15), "uint2": (0, 3)}


def learn(name, x, scale, dtype):
    """One scale, or one for each x[o,...]."""
    golden.seed(name)
    qmin, qmax = TYPES[dtype]
    x = (x() if callable(x) else x).float().requires_grad_()
    scale = torch.tensor(scale)
    channels = scale.numel()
    options = {"quant_min": qmin, "quant_max": qmax, "dtype": torch.qint8, "use_grad_scaling": False}
    if channels == 1:
        method = _LearnableFakeQuantize(MovingAverageMinMaxObserver, qscheme=torch.per_tensor_symmetric, **options)
    else:
        method = _LearnableFakeQuantize(MovingAveragePerChannelMinMaxObserver, qscheme=torch.per_channel_symmetric,
                                        channel_len=channels, ch_axis=0, **options)
    method.scale.data.copy_(scale.reshape(-1))
    method.enable_param_learning()
    y = method(x)
    dy = values(*x.shape)
    y.backward(dy)
    assert (x.grad == 0).any() and (x.grad != 0).any(), name
    golden.record(name, {"dtype": dtype}, {"x": x, "scale": method.scale}, {"y": y},
                  {"y": dy, "x": x.grad, "scale": method.scale.grad})


def around(dtype, scale):
    """Ties of the whole range, its ends from both sides, and values far beyond them."""
    qmin, qmax = TYPES[dtype]
    ties = torch.arange(qmin - 3, qmax + 3) + 0.5
    ends = torch.tensor([qmin - 0.25, qmin - 0.75, qmin - 2, qmax + 0.25, qmax + 0.75, qmax + 2, 0.0, -1e6, 1e6])
    return torch.cat([ties, ends]) * scale


for dtype, (qmin, qmax) in TYPES.items():
    learn(f"{dtype}: ties and both ends", around(dtype, 0.125), [0.125], dtype)
    # Beyond the bounds on both sides, whatever the type.
    learn(f"{dtype}: normal values", lambda: values(4, 5, 5, 3, scale=0.037 * (qmax - qmin) / 2), [0.037], dtype)
for dtype in ("int8", "int4", "int2"):
    qmax = TYPES[dtype][1]
    spread = torch.tensor([0.3, 1.0, 2.5])
    learn(f"{dtype}: weights of a convolution",
          lambda: values(3, 3, 3, 4) * (spread * 0.02 * qmax).reshape(3, 1, 1, 1), [0.02, 0.0173, 0.05], dtype)
    learn(f"{dtype}: weights of a linear layer, ties", torch.stack([around(dtype, s) for s in (0.25, 0.0625)]),
          [0.25, 0.0625], dtype)
# What is beyond every integer from below. From above PyTorch 1.13 gives qmin.
learn("int8: minus infinity", torch.tensor([-float("inf"), -1e9, -0.3, 0.3, 16]), [0.125], "int8")
golden.write()
