"""Facts about Mamba's first weights."""

import torch
from seeded_mambas import config, seeded
from torch.nn import functional as F
from torch.testing import assert_close

from lib.models.ssm.mamba import MambaBlock, MambaClassifier


def test_the_first_weights_are_those_of_the_paper():
    block = MambaBlock(config(dim=64, states=5), generator=torch.Generator().manual_seed(0))
    assert_close(-block.A_log.exp(), -torch.arange(1.0, 6).expand(128, 5))
    assert block.D.eq(1).all()
    steps = F.softplus(block.dt_proj.bias.double())
    assert steps.min() >= 0.001 * (1 - 1e-3)
    assert steps.max() <= 0.1 * (1 + 1e-3)
    assert abs(steps.log10().mean() + 2) < 0.15  # log-uniform: half of them below 0.01
    for layer, fan_in in ((block.in_proj, 64), (block.x_proj, 128), (block.dt_proj, 4), (block.out_proj, 128)):
        assert 0.9 * fan_in**-0.5 < layer.weight.abs().max() <= fan_in**-0.5


def test_the_first_steps_are_clamped_from_below():
    block = MambaBlock(config(time_step_floor=0.01), generator=torch.Generator().manual_seed(0))
    steps = F.softplus(block.dt_proj.bias)
    assert_close(steps.min(), torch.tensor(0.01))
    assert steps.max() > 0.011


def test_the_seed_decides_the_weights_and_the_global_one_is_left_alone():
    before = torch.get_rng_state()
    first, second, other = (seeded(MambaClassifier, 4, 3, vocabulary=None, seed=seed) for seed in (7, 7, 8))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))
