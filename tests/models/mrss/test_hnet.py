"""H-Net's chunking against loops over tokens; rows of a batch, of different numbers of chunks, keep to themselves."""

from itertools import pairwise

import pytest
import torch
from mrss_mixers import mixer, sequence
from refusals import refused
from torch.testing import assert_close

from lib.models.mrss.dynamic import balance, spend
from lib.models.mrss.hnet import WEIGHT, DynamicChunking
from lib.models.ssm.mamba import MambaConfig

SMALL = MambaConfig(dim=6, layers=1, states=3)


def chances(module, x):
    """Of every token of one sequence (T, D), from the paper's formula."""
    found = [1.0]
    for before, now in pairwise(x):
        query, key = module.query @ now, module.key @ before
        found.append(((1 - query @ key / (query.norm() * key.norm())) / 2).item())
    return found


@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_the_form_is_the_papers_formulas_token_by_token(seed):
    module, (x,) = mixer("hnet", 4, 6, seed), sequence(40, 6, seed, batch=1)
    chance = chances(module, x)
    chosen = [p >= 0.5 for p in chance]
    assert 3 < sum(chosen) < 37
    inner = iter(module.norm(module.inner(x[chosen][None]))[0])
    last, expected = torch.zeros(6, dtype=x.dtype), []
    for p, begins in zip(chance, chosen, strict=True):
        last = p * next(inner) + (1 - p) * last if begins else last
        expected.append(last)
    assert_close(module(x[None])[0], torch.stack(expected))


def test_a_sequence_does_not_depend_on_its_neighbours():
    module, x = mixer("hnet", 4, 6, 1), sequence(40, 6, 2, batch=4)
    x[1] = x[1, :1] + 0.01 * x[1]  # hardly ever another chunk
    counts = {sum(p >= 0.5 for p in chances(module, row)) for row in x}
    assert len(counts) > 1
    assert_close(module(x), torch.cat([module(row[None]) for row in x]))


def test_only_tokens_that_begin_a_chunk_reach_the_inner_blocks(monkeypatch):
    module, x, lengths = mixer("hnet", 4, 6, 1), sequence(40, 6, 2), []
    monkeypatch.setattr(module.inner, "forward", lambda y: lengths.append(y.shape[1]) or y)
    module(x)
    module(x[:, :1].expand(-1, 40, -1) * torch.linspace(1, 2, 40, dtype=x.dtype)[:, None])
    assert lengths[0] == max(sum(p >= 0.5 for p in chances(module, row)) for row in x)
    assert lengths[1] in (1, 40)  # of one direction all, so that all are alike, or none


def test_once_spent_every_chunk_has_r_tokens(monkeypatch):
    module, x, lengths = spend(mixer("hnet", 4, 6, 1)), sequence(42, 6, 2), []
    monkeypatch.setattr(module.inner, "forward", lambda y: lengths.append(y.shape[1]) or y)
    out = module(x)
    assert lengths == [11]
    assert all(torch.equal(out[:, t], out[:, t // 4 * 4]) for t in range(42))


def test_the_router_learns_from_the_output_and_from_the_ratio():
    module = mixer("hnet", 4, 6, 1)
    out = module(sequence(64, 6, 0)).square().sum()
    for loss in (out, balance(module)):
        for weight in (module.query, module.key):
            assert torch.autograd.grad(loss, weight, retain_graph=True)[0].abs().sum() > 0


def test_a_decision_is_scaled_by_its_chance_in_the_backward_pass_only():
    module, x = mixer("hnet", 4, 6, 1), sequence(12, 6, 0)
    module.inner.forward = lambda y: torch.ones_like(y)  # so that no average depends on a chance ..
    module.norm.forward = lambda y: y
    out = module(x)
    assert_close(out[:, 0], torch.ones_like(out[:, 0]))
    unchosen = [(row, t) for row in range(2) for t, p in enumerate(chances(module, x[row])) if p < 0.5]
    row, t = unchosen[-1]
    assert torch.autograd.grad(out[row, t].sum(), module.query)[0].abs().sum() > 0  # .. and this is the factor's


@pytest.mark.parametrize(("chosen", "chance", "loss"), [(0.25, 0.9, 0.0), (0.7, 0.25, 0.0), (1.0, 1.0, 3.0)])
def test_the_ratio_loss_is_zero_at_its_aim(chosen, chance, loss):
    module = mixer("hnet", 4, 6, 1)
    assert balance(module) == 0  # nothing has run yet
    module.shares = torch.tensor(chosen), torch.tensor(chance)
    assert balance(module).item() == pytest.approx(WEIGHT * loss, abs=1e-7)


def test_the_ratio_loss_alone_brings_the_share_to_its_aim():
    module, x = DynamicChunking(SMALL, 4, 1, generator=torch.Generator().manual_seed(0)).double(), sequence(64, 6, 3)
    x, module.inner.forward = (
        x + 0.3,
        lambda y: y,
    )  # noise of mean zero is as often unlike as alike, whatever is learned
    optimiser = torch.optim.Adam([module.query, module.key], lr=0.03)
    shares = []
    for _ in range(60):
        optimiser.zero_grad()
        module(x)
        shares.append(module.shares[0].item())
        balance(module).backward()
        optimiser.step()
    assert shares[0] > 0.4
    assert abs(shares[-1] - 0.25) < 0.1


def test_a_factor_without_chunks_is_refused():
    with refused("factor = 1: an integer from 2 to 65536 is needed"):
        DynamicChunking(SMALL, 1, 1)
    with refused("layers = 0: an integer of at least 1 is needed"):
        DynamicChunking(SMALL, 4, 0)
