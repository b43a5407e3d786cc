"""C refitted by least squares: against torch's solver on explicit outputs, and against every other choice."""

from itertools import combinations

import pytest
import torch
from seeded_mambas import tokens
from state_blocks import STATES, features, inputs, model, parts, without
from torch.testing import assert_close

from lib.models.distill.states.choice import plain
from lib.models.distill.states.moments import moments
from lib.models.distill.states.refit import refit, refitted


@pytest.fixture(scope="module")
def seen():
    """Moments of a block on many tokens, and features (N, N, X) of its states: each read by each row of C."""
    lm, x = model(seed=2), tokens(torch.Generator().manual_seed(5), batch=4, length=40)
    given = inputs(lm, x)[1]
    return list(moments(lm, x).values())[1], features(parts(lm.backbone.layers[1]["mixer"], given)), x.numel()


def solved(features, states):
    """W (K, N) of least squares by torch, and what it loses in all."""
    whole = features.diagonal().sum(1)
    columns = features[list(states)].flatten(0, 1).T
    W = torch.linalg.lstsq(columns, whole, driver="gelsd").solution
    return W.view(len(states), -1), (whole - columns @ W).square().sum()


@pytest.mark.parametrize("states", [(0, 1), (1, 2, 4), (3,)])
def test_reading_is_that_of_least_squares(states, seen):
    one, features, count = seen
    mixing, lost = refitted(one.joint, states)
    wanted, missed = solved(features, states)
    assert_close(lost, (missed / count).item(), rtol=1e-6, atol=1e-12)
    columns = features[list(states)].flatten(0, 1).T
    assert_close(columns @ mixing.flatten(), columns @ wanted.flatten(), rtol=1e-5, atol=1e-6)


def test_a_refit_loses_less_than_reading_as_before(seen):
    one, features, _ = seen
    for states in combinations(range(STATES), 2):
        whole = features.diagonal().sum(1)
        kept = features.diagonal()[:, list(states)].sum(1)
        mixing, _ = refitted(one.joint, states)
        again = features[list(states)].flatten(0, 1).T @ mixing.flatten()
        assert (whole - again).square().sum() < 0.99 * (whole - kept).square().sum()


def test_the_first_state_dropped_is_the_one_of_least_loss(seen):
    one, features, _ = seen
    losses = {states: solved(features, states)[1].item() for states in combinations(range(STATES), STATES - 1)}
    assert tuple(refit(one, STATES - 1).states.tolist()) == min(losses, key=losses.get)


def test_one_after_another_is_near_the_best_of_all_choices(seen):
    one, features, _ = seen
    losses = {states: solved(features, states)[1].item() for states in combinations(range(STATES), 2)}
    found = losses[tuple(refit(one, 2).states.tolist())]
    assert found <= sorted(losses.values())[len(losses) // 3]


def test_states_that_nobody_reads_leave_the_others_as_they_were(generator):
    lm = without(model(), 0, 3)
    for one in moments(lm, tokens(generator)).values():
        choice = refit(one, STATES - 2)
        assert choice.states.tolist() == [1, 2, 4]
        assert torch.equal(choice.mixing, plain([1, 2, 4], STATES).mixing)


def test_two_states_that_are_one_become_one(generator):
    lm = model()
    with torch.no_grad():
        for layer in lm.backbone.layers:
            block = layer["mixer"]
            block.A_log[:, 1] = block.A_log[:, 4]
            B = block.x_proj.weight[-2 * STATES : -STATES]
            B[1] = B[4]
    for one in moments(lm, tokens(generator, batch=4, length=30)).values():
        choice = refit(one, STATES - 1)
        assert len({1, 4} - {*choice.states.tolist()}) == 1
        _, lost = refitted(one.joint, choice.states.tolist())
        assert abs(lost) < 1e-9 * torch.einsum("dede->", one.joint).item()
