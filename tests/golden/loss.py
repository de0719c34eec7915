"""cross_entropy."""
import torch
from torch.nn import functional as F

import common
from common import values

golden = common.Area(__file__)


def cross_entropy(name, logits, smoothing=0.0):
    def inputs():
        x = logits()
        return {"x": x, "labels": torch.randint(0, x.shape[1], (x.shape[0],))}

    golden.op(name, lambda x, labels: F.cross_entropy(x, labels, label_smoothing=smoothing), inputs,
              {"label_smoothing": smoothing})


def masked():
    x = values(4, 5)
    x[0, 0] = x[1, 4] = -float("inf")
    return x


cross_entropy("plain", lambda: values(5, 4, scale=2))
cross_entropy("smoothed", lambda: values(5, 4, scale=2), 0.1)
cross_entropy("nothing but smoothing", lambda: values(3, 4, scale=2), 1.0)
cross_entropy("large logits", lambda: values(3, 4, scale=2000))
cross_entropy("large logits, smoothed", lambda: values(3, 4, scale=2000), 0.2)
cross_entropy("one class", lambda: values(3, 1), 0.1)
cross_entropy("many classes", lambda: values(2, 70, scale=3), 0.05)
cross_entropy("classes that are ruled out", masked)
golden.write()
