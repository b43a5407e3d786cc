"""A Mamba of transformers loses states by way of ours, and transformers loads what comes of it."""

import json

import pytest
import torch
import transformers
from mambas import exactly, theirs, tokens
from precision import SINGLE, assert_within

from lib.models.distill.states.reduce import reduce_states
from lib.models.ssm.mamba_weights import from_pretrained, from_transformers, save_pretrained, to_transformers


@pytest.mark.parametrize("criterion", ["refit", "energy"])
def test_transformers_loads_a_model_of_fewer_states(criterion, tmp_path):
    model, x = theirs(), tokens(40)
    model.save_pretrained(tmp_path / "whole")
    small = reduce_states(from_pretrained(tmp_path / "whole"), 4, criterion, x)
    save_pretrained(small, tmp_path / "small")
    assert json.loads((tmp_path / "small/config.json").read_text())["state_size"] == 4
    loaded, report = transformers.MambaForCausalLM.from_pretrained(tmp_path / "small", output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert loaded.config.state_size == 4
    assert loaded.backbone.layers[0].mixer.A_log.shape == (64, 4)
    exact = exactly(small)(x)
    assert_within(loaded(x).logits, exact, SINGLE)
    assert_within(from_pretrained(tmp_path / "small")(x), exact, SINGLE)


def test_all_states_give_transformers_its_own_model_back(tmp_path):
    model, x = theirs(), tokens()
    same = to_transformers(reduce_states(from_transformers(model), 16, "refit", x))
    for name, weight in model.state_dict().items():
        assert torch.equal(same.state_dict()[name], weight)


def test_a_smaller_model_generates_as_in_transformers(tmp_path):
    small = reduce_states(from_transformers(theirs()), 4, "refit", tokens(40))
    there, x = to_transformers(small), tokens(5)
    expected = there.generate(x, max_new_tokens=5, do_sample=False, pad_token_id=0)
    assert torch.equal(small.generate(x, 5), expected)
