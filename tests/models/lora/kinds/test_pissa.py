"""PiSSA: A and B begin as the largest singular values and vectors, which leave the frozen weight."""

import json

import adapting
import pytest
import torch
from peft import LoraConfig, get_peft_model
from refusals import refused
from torch.testing import assert_close

from lib.models.lora.files import CONFIG, WEIGHTS, load_lora, save_lora
from lib.models.lora.layers import adapters, add_lora


@pytest.mark.parametrize("rank", [1, 3, 4])
def test_the_start_takes_the_largest_singular_values(rank):
    model, x = adapting.net(), adapting.inputs()
    whole, weight = model(x), model[2].weight.detach().clone()
    add_lora(model, "2", rank, 2.0, adapter="pissa")
    assert_close(model(x), whole)
    values = torch.linalg.svdvals(weight)
    assert_close(torch.linalg.svdvals(model[2].base.weight.detach())[: 4 - rank], values[rank:])
    assert_close(torch.linalg.svdvals(model[2].product().detach())[:rank], values[:rank])


def test_it_starts_as_in_peft():
    ours, config = adapting.net(dtype=torch.float32), LoraConfig(r=2, lora_alpha=6, target_modules="2")
    config.init_lora_weights = "pissa"
    theirs = get_peft_model(adapting.net(dtype=torch.float32), config).get_submodule("base_model.model.2")
    add_lora(ours, "2", 2, 6.0, adapter="pissa")
    assert_close(ours[2].base.weight, theirs.base_layer.weight, check_stride=False)
    assert_close(ours[2].A.abs(), theirs.lora_A["default"].weight.abs())  # a pair of vectors has no sign of its own


def test_a_file_holds_the_lora_of_twice_the_rank_that_it_equals(tmp_path):
    model, x = adapting.add(adapting.net(), adapter="pissa"), adapting.inputs()
    save_lora(model, tmp_path)
    config = json.loads((tmp_path / CONFIG).read_text())
    assert (config["r"], config["lora_alpha"], config["init_lora_weights"]) == (6, 12.0, True)
    mine = adapting.net()
    load_lora(mine, tmp_path)
    assert_close(mine(x), model(x))


def test_a_file_of_peft_without_a_conversion_is_computed_anew_and_needs_a_rank_that_fits(tmp_path):
    theirs = get_peft_model(
        adapting.net(dtype=torch.float32), LoraConfig(r=4, target_modules="2", init_lora_weights="pissa")
    )
    theirs.save_pretrained(tmp_path)
    ours, x = adapting.net(dtype=torch.float32), adapting.inputs(torch.float32)
    whole = ours(x)
    load_lora(ours, tmp_path)
    assert_close(ours(x), whole)
    path = tmp_path / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | {"r": 5}))
    with refused("rank = 5: an integer from 1 to 4 is needed in 2, of shape (4, 10)"):
        load_lora(adapting.net(), tmp_path)
    assert (tmp_path / WEIGHTS).exists()


def test_what_has_no_singular_values_is_named_and_nothing_is_changed():
    model = adapting.net()
    model[2].weight.data[0, 0] = torch.nan
    first = model[0].weight.detach().clone()
    with refused("weight of 2: all of its values must be finite"):
        add_lora(model, "0|2", 3, 6.0, adapter="pissa")
    assert not list(adapters(model))
    assert torch.equal(model[0].weight, first)
