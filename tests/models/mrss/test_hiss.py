"""HiSS against a loop over chunks, each of which the lower blocks see alone."""

import pytest
import torch
from mrss_mixers import mixer, sequence
from refusals import refused
from torch.testing import assert_close

from lib.models.mrss.hiss import Hierarchy
from lib.models.ssm.mamba import MambaConfig


@pytest.mark.parametrize(("length", "factor"), [(3, 4), (16, 4), (19, 4), (7, 1)])
@torch.no_grad()
def test_an_output_is_its_chunk_so_far_and_the_last_complete_one(length, factor):
    module, x = mixer("hiss", factor, 5, 2), sequence(length, 5, 1)
    local = torch.cat([module.lower(part) for part in x.split(factor, dim=1)], dim=1)
    last = local[:, factor - 1 :: factor]
    above = module.upper_norm(module.upper(last)) if last.shape[1] else None
    for t in range(length):
        y = module.lower_norm(local[:, t])
        if t + 1 >= factor:
            chunk, phase = divmod(t + 1 - factor, factor)
            y = y + above[:, chunk] * module.up.phases[phase]
        assert_close(module(x)[:, t], module.out_proj(y))


def test_what_the_upper_blocks_run_on_is_one_token_per_chunk(monkeypatch):
    module, shapes = mixer("hiss", 4, 5, 0), []
    monkeypatch.setattr(module.upper, "forward", lambda y: shapes.append(tuple(y.shape)) or y)
    module(sequence(43, 5, 0))
    assert shapes == [(2, 10, 5)]


def test_a_hierarchy_of_one_level_is_refused():
    with refused("lower = 0: an integer of at least 1 is needed"):
        Hierarchy(MambaConfig(dim=4, layers=1), 4, 0, 1)
    with refused("upper = 0: an integer of at least 1 is needed"):
        Hierarchy(MambaConfig(dim=4, layers=1), 4, 1, 0)
