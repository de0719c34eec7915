"""Losses by name, with their options; those of torchvision, which is not installed, written out in PyTorch."""
import torch
from torch.nn import functional as F

import common
from common import values

golden = common.Area(__file__)


def case(loss, name, function, inputs, **options):
    """The loss of x and target, and the options that are tensors, through which no gradient is asked for."""
    golden.op(f"{loss}: {name}", lambda x, target, *rest: function(x, target, *[t.detach() for t in rest]), inputs,
              {"loss": loss, **options})


def pair(*shape, scale=2.0):
    return lambda: {"x": values(*shape, scale=scale), "target": values(*shape, scale=scale)}


def probable(*shape, scale=2.0):
    return lambda: {"x": values(*shape, scale=scale), "target": torch.rand(shape).mul(1000).round() / 1000}


def hard(*shape, scale=2.0):
    return lambda: {"x": values(*shape, scale=scale), "target": torch.randint(0, 2, shape).float()}


def last(x):  # classes as PyTorch wants them
    return x.movedim(-1, 1).contiguous() if x.dim() > 1 else x


def labelled(*shape, ignored=(), weight=False, index=-100, scale=2.0):
    def inputs():
        made = {"x": values(*shape, scale=scale), "target": torch.randint(0, shape[-1], shape[:-1])}
        for at in ignored:
            made["target"].view(-1)[at] = index
        if weight:
            made["weight"] = torch.rand(shape[-1]).mul(1000).round() / 1000 + 0.1
        return made
    return inputs


REDUCTIONS = ["mean", "sum", "none"]

for r in REDUCTIONS:
    for smoothing in [0.0, 0.1]:
        case("cross_entropy", f"weighted, ignored, {r}, smoothing {smoothing}",
             lambda x, t, w: F.cross_entropy(last(x), t, w, ignore_index=255, reduction=r, label_smoothing=smoothing),
             labelled(2, 3, 2, 5, ignored=[0, 7], weight=True, index=255), reduction=r, ignore_index=255,
             label_smoothing=smoothing)
    case("cross_entropy", f"probabilities, {r}",
         lambda x, t, w: F.cross_entropy(last(x), last(t), w, reduction=r, label_smoothing=0.1),
         lambda: {**probable(2, 3, 4)(), "weight": torch.tensor([0.5, 1, 2, 0.25])}, reduction=r, label_smoothing=0.1)
    case("nll", f"weighted, ignored, {r}", lambda x, t, w: F.nll_loss(last(x), t, w, reduction=r),
         labelled(2, 3, 2, 5, ignored=[3], weight=True), reduction=r)
    case("mse", r, lambda x, t: F.mse_loss(x, t, reduction=r), pair(3, 4), reduction=r)
    case("l1", r, lambda x, t: F.l1_loss(x, t, reduction=r), pair(3, 4), reduction=r)
    case("smooth_l1", r, lambda x, t: F.smooth_l1_loss(x, t, reduction=r, beta=1.5), pair(3, 4), reduction=r, beta=1.5)
    case("huber", r, lambda x, t: F.huber_loss(x, t, reduction=r, delta=1.5), pair(3, 4), reduction=r, delta=1.5)
    case("bce_with_logits", r, lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction=r), probable(3, 4),
         reduction=r)
    case("bce_with_logits", f"weighted, {r}",
         lambda x, t, w, p: F.binary_cross_entropy_with_logits(x, t, w, reduction=r, pos_weight=p),
         lambda: {**probable(2, 3, 4)(), "weight": values(3, 1).abs(), "pos_weight": values(4).abs()}, reduction=r)
    case("kl_div", r, lambda x, t: F.kl_div(x, t, reduction=r), probable(3, 4), reduction=r)

case("cross_entropy", "one row", lambda x, t: F.cross_entropy(x, t), labelled(4))
case("cross_entropy", "default ignore_index", lambda x, t: F.cross_entropy(x, t), labelled(6, 4, ignored=[1, 2]))
case("cross_entropy", "all ignored", lambda x, t: F.cross_entropy(x, t, reduction="sum"),
     labelled(2, 4, ignored=[0, 1]), reduction="sum")
case("cross_entropy", "a label that is a class, ignored", lambda x, t: F.cross_entropy(x, t, ignore_index=0),
     labelled(6, 3, ignored=[1], index=0), ignore_index=0)
case("nll", "plain", lambda x, t: F.nll_loss(x, t), labelled(5, 3))
case("smooth_l1", "beta 0", lambda x, t: F.smooth_l1_loss(x, t, beta=0), pair(3, 4), beta=0.0)
case("smooth_l1", "default", lambda x, t: F.smooth_l1_loss(x, t), pair(3, 4))
case("huber", "default", lambda x, t: F.huber_loss(x, t), pair(3, 4))
case("bce_with_logits", "large logits", lambda x, t: F.binary_cross_entropy_with_logits(x, t), hard(4, 5, scale=300.0))
case("kl_div", "batchmean", lambda x, t: F.kl_div(x, t, reduction="batchmean"), probable(3, 4), reduction="batchmean")
case("kl_div", "log_target", lambda x, t: F.kl_div(x, t, log_target=True), pair(3, 4), log_target=True)


def without_teacher(x, t, temperature, reduction):
    t = t.detach()
    kl = F.kl_div((x / temperature).log_softmax(-1), (t / temperature).log_softmax(-1), log_target=True,
                  reduction="none").sum(-1) * temperature ** 2
    return {"mean": kl.mean, "sum": kl.sum, "none": kl.clone}[reduction]()


for r in REDUCTIONS:
    case("distillation", r, lambda x, t: without_teacher(x, t, 4.0, r), pair(2, 3, 4, scale=3.0), temperature=4.0,
         reduction=r)


def focal(x, t, alpha, gamma, reduction):  # torchvision.ops.sigmoid_focal_loss
    p = torch.sigmoid(x)
    ce = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    p_t = p * t + (1 - p) * (1 - t)
    loss = ce * (1 - p_t) ** gamma
    if alpha >= 0:
        loss = (alpha * t + (1 - alpha) * (1 - t)) * loss
    return {"mean": loss.mean, "sum": loss.sum, "none": loss.clone}[reduction]()


for r in REDUCTIONS:
    case("focal", r, lambda x, t: focal(x, t, 0.25, 2.0, r), hard(3, 4), reduction=r)
case("focal", "soft targets", lambda x, t: focal(x, t, 0.4, 1.5, "mean"), probable(3, 4), alpha=0.4, gamma=1.5)
case("focal", "no alpha, gamma below 1", lambda x, t: focal(x, t, -1.0, 0.5, "mean"), hard(3, 4), alpha=-1.0, gamma=0.5)
case("focal", "gamma 0", lambda x, t: focal(x, t, 0.25, 0.0, "mean"), hard(3, 4), gamma=0.0)


def dice(x, t, reduction, smooth=1.0):
    axes = list(range(1, x.dim() - 1))
    total = (lambda v: v.sum(axes)) if axes else (lambda v: v)
    loss = 1 - (2 * total(x * t) + smooth) / (total(x) + total(t) + smooth)
    return {"mean": loss.mean, "sum": loss.sum, "none": loss.clone}[reduction]()


def dice_of_labels(x, t, reduction):
    counted = (t != 255)
    hot = F.one_hot(t * counted, x.shape[-1]) * counted.unsqueeze(-1)
    return dice(x.softmax(-1) * counted.unsqueeze(-1), hot, reduction)


for r in REDUCTIONS:
    case("dice", f"labels, {r}", lambda x, t: dice_of_labels(x, t, r), labelled(2, 3, 4, 3, ignored=[0, 5], index=255),
         reduction=r, ignore_index=255)
case("dice", "labels, none ignored", lambda x, t: dice_of_labels(x, t, "mean"), labelled(2, 3, 4, 3))
case("dice", "sigmoid", lambda x, t: dice(x.sigmoid(), t, "mean", 0.1), hard(2, 3, 4, 1), activation="sigmoid",
     smooth=0.1)
case("dice", "as they are", lambda x, t: dice(x, t, "mean"), lambda: {"x": torch.rand(3, 4), "target": torch.rand(3, 4)},
     activation="none")


def giou(a, b, reduction, eps=1e-7):  # torchvision.ops.generalized_box_iou_loss
    x1, y1, x2, y2 = a.unbind(-1)
    x1g, y1g, x2g, y2g = b.unbind(-1)
    w = torch.min(x2, x2g) - torch.max(x1, x1g)
    h = torch.min(y2, y2g) - torch.max(y1, y1g)
    overlap = torch.where((w > 0) & (h > 0), w * h, torch.zeros_like(w))
    union = (x2 - x1) * (y2 - y1) + (x2g - x1g) * (y2g - y1g) - overlap
    hull = (torch.max(x2, x2g) - torch.min(x1, x1g)) * (torch.max(y2, y2g) - torch.min(y1, y1g))
    loss = 1 - (overlap / (union + eps) - (hull - union) / (hull + eps))
    return {"mean": loss.mean, "sum": loss.sum, "none": loss.clone}[reduction]()


def boxes(*shape):
    def make():
        corner, size = values(*shape, 2, scale=3), values(*shape, 2, scale=3).abs() + 0.5
        return torch.cat([corner, corner + size], -1)
    return lambda: {"x": make(), "target": make()}


for r in REDUCTIONS:
    case("giou", r, lambda x, t: giou(x, t, r), boxes(12), reduction=r)
case("giou", "of images", lambda x, t: giou(x, t, "none"), boxes(2, 5), reduction="none")
for r in REDUCTIONS:
    nothing = {"x": torch.zeros(0, 4), "target": torch.zeros(0, dtype=torch.int64)}
    case("cross_entropy", f"no rows, {r}", lambda x, t: F.cross_entropy(x, t, reduction=r), nothing, reduction=r)
    case("nll", f"no rows, {r}", lambda x, t: F.nll_loss(x, t, reduction=r), nothing, reduction=r)
golden.write()
