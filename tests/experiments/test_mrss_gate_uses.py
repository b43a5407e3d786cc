"""What gates did, on models whose gates are known; and by hand on states that change."""

import numpy as np
import pytest
import torch
from mrss_mixers import mixer, sequence
from torch import nn
from torch.testing import assert_close

from lib.experiments.mrss_gate_uses import SOON, after, by_token, forced, lately, packed, unpacked, uses
from lib.models.mrss import variants as mrss
from lib.models.ssm.mamba import MambaBlock, MambaConfig

SIZES = MambaConfig(dim=8, layers=2, states=4)


@torch.no_grad()
def test_a_dual_branchs_use_is_the_mean_weight_of_its_full_rate_branch():
    module, x = mixer("dual", 3, 6, 0), sequence(14, 6, 0)
    gate = (x @ module.gates[0].weight.T + module.gates[0].bias).sigmoid()
    ((span, used),) = uses(nn.Sequential(module), x)
    assert span == 1
    assert_close(used, 1 - gate.mean(-1))
    assert not module.gates[0]._forward_hooks


def test_a_model_without_gates_has_no_use():
    block = MambaBlock(SIZES)
    assert uses(block, torch.zeros(1, 4, 8)) == []
    assert forced(block, True) is None


@pytest.mark.parametrize("form", ["sparse_gate", "dynamic", "dynamic_rate", "sequence_rate"])
def test_gates_that_are_held_are_all_open_or_all_closed(form, generator):
    model = mrss.model(mrss.MrssConfig(SIZES, form, 4), 1, 3, pooling="none", generator=generator)
    x, before = torch.randn(2, 30, 1, generator=generator), [weight.clone() for weight in model.parameters()]
    least = 0.25 if form.endswith("rate") else 0.0
    for is_open in (True, False):
        for _, used in uses(forced(model, is_open), x):
            assert used.unique().tolist() == [1.0 if is_open else least]
    assert all(map(torch.equal, model.parameters(), before))


def test_gates_without_a_switch_are_not_held(generator):
    for form in ("dual", "hnet"):
        model = mrss.model(mrss.MrssConfig(SIZES, form, 4), 1, 3, generator=generator)
        assert forced(model, True) is None


def test_uses_of_spans_are_laid_out_and_averaged():
    found = [(1, torch.tensor([[1.0, 0, 0, 0, 1]])), (2, torch.tensor([[0.0, 1]]))]
    assert by_token(found, 5).tolist() == [[0.5, 0, 0.5, 0.5, 0.5]]


def test_tokens_soon_after_a_change_are_found():
    states = torch.tensor([[0] * 5 + [1] * 40 + [2, 1]])
    wanted = [5 <= at < 5 + SOON or at >= 45 for at in range(47)]
    assert lately(states)[0].tolist() == wanted
    used = torch.tensor([wanted]).float() * 0.75
    assert after(used, states) == 0.75
    assert after(used, torch.zeros_like(states)) == pytest.approx(used.mean().item())


def test_shares_survive_a_record():
    shares = np.arange(256) / 255
    assert np.array_equal(unpacked(packed(shares.tolist())), shares)
    assert unpacked(packed(torch.tensor([0.0, 0.5, 1.0]))) == pytest.approx([0, 0.5, 1], abs=0.002)
