"""Learning rates of PyTorch's schedulers. Output "lr" is [steps]: the rate of each step; epochs have 3 steps."""
import torch
from torch.optim import lr_scheduler

import common

LR, STEPS, PER_EPOCH = 0.2, 30, 3
golden = common.Area(__file__)


def case(name, make, unit, **attributes):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))], lr=LR)
    scheduler = make(optimizer)
    rates = []
    for step in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        # One more step is an error for OneCycleLR.
        if step + 1 < STEPS and (unit == "step" or (step + 1) % PER_EPOCH == 0):
            scheduler.step()
    attributes = {"lr": LR, "steps": STEPS, "steps_per_epoch": PER_EPOCH, "unit": unit, **attributes}
    golden.record(name, attributes, {}, {"lr": torch.tensor(rates, dtype=torch.float64)})


case("constant", lambda o: lr_scheduler.ConstantLR(o, factor=1.0), "step")
for unit in ["epoch", "step"]:
    length = STEPS if unit == "step" else STEPS // PER_EPOCH
    case(f"step_decay {unit}", lambda o: lr_scheduler.StepLR(o, step_size=4, gamma=0.3), unit, every=4, gamma=0.3)
    case(f"multi_step {unit}", lambda o: lr_scheduler.MultiStepLR(o, milestones=[2, 7], gamma=0.5), unit,
         milestones=[2, 7], gamma=0.5)
    case(f"cosine {unit}", lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=length, eta_min=0.01), unit,
         eta_min=0.01)
case("one_cycle cosine", lambda o: lr_scheduler.OneCycleLR(o, max_lr=LR, total_steps=STEPS, cycle_momentum=False),
     "step", rising=0.3, initial=1 / 25, last=1 / 25e4, linear=False)
case("one_cycle linear", lambda o: lr_scheduler.OneCycleLR(o, max_lr=LR, total_steps=STEPS, cycle_momentum=False,
                                                           pct_start=0.45, anneal_strategy="linear", div_factor=10,
                                                           final_div_factor=20),
     "step", rising=0.45, initial=1 / 10, last=1 / 200, linear=True)


def warm_up(optimizer, then):
    first = lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=6)
    return lr_scheduler.SequentialLR(optimizer, [first, then], milestones=[6])


case("warm_up constant", lambda o: warm_up(o, lr_scheduler.ConstantLR(o, factor=1.0)), "step", warm_up=6, start=0.1)
case("warm_up cosine", lambda o: warm_up(o, lr_scheduler.CosineAnnealingLR(o, T_max=STEPS - 6)), "step", warm_up=6,
     start=0.1, eta_min=0.0)
case("warm_up multi_step", lambda o: warm_up(o, lr_scheduler.MultiStepLR(o, milestones=[5, 9], gamma=0.5)), "step",
     warm_up=6, start=0.1, milestones=[5, 9], gamma=0.5)
golden.write()
