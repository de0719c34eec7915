"""What the scripts that make the golden files share. Only Debian's PyTorch 1.13 (/usr/bin/python3) runs them.

An area's file is a list of cases: {"name", "attributes", "inputs", "outputs", "gradients"}; a tensor is
{"shape", "dtype" (float32 if absent), "data"}, in sinter's layouts: images NHWC, convolution weights OHWI.
"gradients" holds the gradients of the outputs (drawn at random) under the outputs' names, and those of the inputs.

    golden = common.Area(__file__)
    golden.op("stride 2", lambda x, w: nhwc(F.conv2d(nchw(x), oihw(w), stride=2)),
              {"x": values(1, 5, 5, 3), "w": values(4, 3, 3, 3)}, {"stride": 2})
    golden.write()
"""
import json
import math
import os
import zlib

import numpy
import torch


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def oihw(w):
    return w.permute(0, 3, 1, 2)


def ohwi(w):
    return w.permute(0, 2, 3, 1)


def values(*shape, scale=1.0, offset=0.0):
    """Normal values with three decimals, so that the files stay small."""
    return torch.round(1000 * (offset + scale * torch.randn(shape))) / 1000


def number(value):
    """A float32 in its shortest form that reads back to the same float32."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    shortest = float(str(numpy.float32(value)))
    assert numpy.float32(shortest) == numpy.float32(value)
    return shortest


def tensor(t):
    t = torch.as_tensor(t).detach()
    flat = t.contiguous().flatten().tolist()
    if t.is_floating_point():
        return {"shape": list(t.shape), "data": [number(v) for v in t.float().flatten().tolist()]}
    return {"shape": list(t.shape), "dtype": str(t.dtype).replace("torch.", ""), "data": flat}


class Area:
    def __init__(self, script):
        self.path = os.path.splitext(os.path.abspath(script))[0] + ".json"
        self.cases = []
        self.seed("")

    def seed(self, name):
        """Every case has its own random stream: a new case changes no other."""
        torch.manual_seed(zlib.crc32((os.path.basename(self.path) + name).encode()))

    def op(self, name, function, inputs, attributes={}, gradients=True, precise=True):
        """The case of function(*inputs) and its gradients. `inputs` maps names to tensors, or is a function that
        makes such a map from the case's own random stream. Computed in float64 unless not `precise`."""
        self.seed(name)
        if callable(inputs):
            inputs = inputs()
        leaves = {}
        for key, value in inputs.items():
            value = torch.as_tensor(value)
            if value.is_floating_point():
                value = value.float().to(torch.float64 if precise else torch.float32)
                value = value.clone().requires_grad_(gradients)
            leaves[key] = value
        y = function(*leaves.values())
        found = {}
        if gradients:
            found["y"] = values(*y.shape)
            y.backward(found["y"].to(y.dtype))
            found.update({key: leaf.grad for key, leaf in leaves.items() if leaf.grad is not None})
        self.record(name, attributes, leaves, {"y": y}, found)

    def record(self, name, attributes, inputs, outputs, gradients={}):
        """A case as it is: three maps from names to tensors."""
        assert name not in [case["name"] for case in self.cases], name
        groups = {"inputs": inputs, "outputs": outputs, "gradients": gradients}
        self.cases.append({"name": name, "attributes": attributes,
                           **{group: {key: tensor(t) for key, t in ts.items()} for group, ts in groups.items()}})

    def write(self):
        with open(self.path, "w") as file:
            file.write("[\n" + ",\n".join(json.dumps(case, separators=(",", ":"), allow_nan=False)
                                          for case in self.cases) + "\n]\n")
