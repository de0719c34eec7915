"""relu and relu6."""
import torch
from torch.nn import functional as F

import common
from common import values

golden = common.Area(__file__)
golden.op("relu6", F.relu6, lambda: {"x": values(3, 7, scale=5, offset=2)})
golden.op("relu6 at its corners", F.relu6,
          {"x": torch.tensor([-float("inf"), -1e-6, 0, 1e-6, 5.999999, 6, 6.000001, float("inf")])})
golden.op("relu", F.relu, lambda: {"x": values(3, 7)})
golden.op("relu at its corner", F.relu, {"x": torch.tensor([-float("inf"), -1e-6, -0.0, 0, 1e-6, float("inf")])})
golden.write()
