"""Training on one batch of all images: PyTorch's SGD with cross-entropy, its batch normalisation in eval() from a step
on, as `freeze_batch_norm_after` has it."""
import torch

import common
from common import values

golden = common.Area(__file__)


def fit(name, steps, after, lr=0.2, momentum=0.5):
    golden.seed(name)
    images, labels = torch.randint(0, 256, (12, 5, 5), dtype=torch.uint8), torch.arange(12) % 3
    start = {"conv.weight": values(4, 3, 3, 1, scale=0.5), "bn.weight": 1 + values(4, scale=0.2),
             "bn.bias": values(4, scale=0.2), "bn.running_mean": values(4, scale=0.3),
             "bn.running_var": 1 + values(4, scale=0.5).abs(), "head.weight": values(3, 4), "head.bias": values(3)}
    net = torch.nn.ModuleDict({"conv": torch.nn.Conv2d(1, 4, 3, padding=1, bias=False), "bn": torch.nn.BatchNorm2d(4),
                               "head": torch.nn.Linear(4, 3)}).double()
    own = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    with torch.no_grad():
        for key, value in start.items():
            own[key].copy_(common.oihw(value) if key == "conv.weight" else value)
    x = (images.double() / 255 - 0.5) / 0.5
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
    for step in range(steps):
        net.train()
        if step >= after:
            net["bn"].eval()
        y = torch.relu(net["bn"](net["conv"](x.unsqueeze(1)))).mean((2, 3))
        loss = torch.nn.functional.cross_entropy(net["head"](y), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    end = {key: common.ohwi(own[key]) if key == "conv.weight" else own[key] for key in start}
    golden.record(name, {"steps": steps, "after": after, "lr": lr, "momentum": momentum},
                  {"images": images, "labels": labels, **start}, {"loss": loss, **end})


fit("never frozen", 6, 6)
fit("frozen from the third step on", 6, 2)
fit("frozen from the start", 6, 0)
golden.write()
