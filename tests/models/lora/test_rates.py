"""Rates of adapters: every learning weight is in one group, and B is where its kind or the caller wants it."""

import adapting
import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from refusals import refused
from torch.testing import assert_close

from lib.models.lora.kinds.lora_plus import RATIO
from lib.models.lora.layers import add_lora
from lib.models.lora.rates import parameter_groups


def model(adapter, **options):
    made = adapting.net()
    add_lora(made, "0|2", 3, 6.0, adapter=adapter, **options)
    return made


@pytest.mark.parametrize(("adapter", "ratio", "expected"), [("lora_plus", None, RATIO), ("dora", 4.0, 4.0)])
def test_b_learns_at_a_multiple_of_the_rate(adapter, ratio, expected):
    made = model(adapter)
    groups = parameter_groups(made, 1e-3, ratio)
    assert [group["lr"] for group in groups] == [1e-3, expected * 1e-3]
    assert [id(weight) for weight in groups[1]["params"]] == [id(made[0].B), id(made[2].B)]
    learning = {id(weight) for weight in made.parameters() if weight.requires_grad}
    assert {id(weight) for group in groups for weight in group["params"]} == learning


@pytest.mark.parametrize("adapter", ["lora", "rslora", "dora", "pissa"])
def test_others_learn_at_one_rate(adapter):
    (group,) = parameter_groups(model(adapter), 1e-3)
    assert group["lr"] == 1e-3


def test_what_learns_beside_the_adapters_is_in_the_first_group():
    made = model("lora_plus")
    made[0].base.bias.requires_grad_(True)
    first, _ = parameter_groups(made, 1e-3)
    assert any(weight is made[0].base.bias for weight in first["params"])


def test_a_step_is_that_of_pefts_optimiser():
    ours, x = adapting.net(dtype=torch.float32), adapting.inputs(torch.float32)
    theirs = get_peft_model(adapting.net(dtype=torch.float32), LoraConfig(r=3, lora_alpha=6, target_modules="0|2"))
    add_lora(ours, "0|2", 3, 6.0, adapter="lora_plus")
    for number in "02":
        layer = theirs.get_submodule(f"base_model.model.{number}")
        ours[int(number)].A.data.copy_(layer.lora_A["default"].weight.data)
    steps = (
        torch.optim.AdamW(parameter_groups(ours, 1e-3), weight_decay=0.0),
        create_loraplus_optimizer(theirs, torch.optim.AdamW, lr=1e-3, loraplus_lr_ratio=RATIO),
    )
    for _ in range(3):
        for one, step in zip((ours, theirs), steps, strict=True):
            step.zero_grad()
            one(x).square().sum().backward()
            step.step()
    assert_close(ours(x), theirs(x))


def test_what_cannot_be_is_refused():
    with refused("rate = 0: more than 0 is needed"):
        parameter_groups(model("lora"), 0)
    with refused("ratio = -1: more than 0 is needed"):
        parameter_groups(model("lora"), 1e-3, -1)
    with refused("Sequential: no weight requires a gradient, so that nothing can learn"):
        parameter_groups(adapting.net().requires_grad_(False), 1e-3)
