"""Every criterion keeps the states that its definition says; each choice is K of N, ascending."""

import pytest
import torch
from dummies import dummy
from refusals import refused
from seeded_mambas import tokens
from state_blocks import STATES, features, inputs, model, parts
from torch.testing import assert_close

from lib.models.distill import states as room
from lib.models.distill.states.choice import largest, plain
from lib.models.distill.states.moments import moments
from lib.models.distill.states.reduce import CRITERIA, reduce_states
from lib.names import STATE_CHOICES

every_criterion = pytest.mark.parametrize("criterion", STATE_CHOICES)
DUMMY = """
from lib.models.distill.states.choice import plain

def dummy(moments, keep, *, generator=None):
    return plain(range(keep), moments.rate.shape[1])
"""


@pytest.fixture
def seen(generator):
    """Moments of two blocks of different inputs, and the inputs of their scans."""
    lm, x = model(seed=3), tokens(generator, batch=3)
    scanned = [parts(layer["mixer"], given) for layer, given in zip(lm.backbone.layers, inputs(lm, x), strict=True)]
    return list(zip(moments(lm, x).values(), scanned, strict=True))


def best(scores, keep):
    """Numbers of the largest scores, by sorting them one by one."""
    return sorted(sorted(range(len(scores)), key=lambda n: -scores[n])[:keep])


@every_criterion
@pytest.mark.parametrize("keep", [1, 3, STATES])
def test_a_choice_is_so_many_states_ascending(criterion, keep, seen, generator):
    for one, _ in seen:
        choice = CRITERIA[criterion](one, keep, generator=generator)
        states = choice.states.tolist()
        assert len({*states}) == keep
        assert states == sorted(states)
        assert {*states} <= {*range(STATES)}
        assert choice.mixing.shape == (keep, STATES)


@every_criterion
def test_all_states_are_kept_as_they_are(criterion, seen, generator):
    choice = CRITERIA[criterion](seen[0][0], STATES, generator=generator)
    assert torch.equal(choice.mixing, torch.eye(STATES, dtype=torch.float64))


@every_criterion
@pytest.mark.parametrize("keep", [0, STATES + 1, 2.0, True])
def test_another_number_is_refused(criterion, keep, seen, generator):
    with refused(f"keep = {keep!r}: an integer from 1 to {STATES} is needed"):
        CRITERIA[criterion](seen[0][0], keep, generator=generator)


def test_energy_is_that_of_each_state_scanned_alone(seen):
    for one, given in seen:
        scores = features(given).square().sum(-1).diagonal().tolist()
        assert CRITERIA["energy"](one, 2).states.tolist() == best(scores, 2)


def test_hankel_values_are_those_of_impulse_responses(seen):
    for one, given in seen:
        lags = torch.arange(4000, dtype=torch.float64).view(-1, 1, 1)
        responses = one.decay.pow(lags).square().sum(0)  # of a state of size one, read with C of one
        gain = one.gate.unsqueeze(1) * given["C"].square().mean((0, 2))
        scores = (one.held * gain * responses).sum(0).tolist()
        assert CRITERIA["hankel"](one, 2).states.tolist() == best(scores, 2)


def test_slowest_and_fastest_are_opposite_ends(seen):
    for one, given in seen:
        logs = (-given["A"]).log().mean(0).tolist()
        slow, fast = (CRITERIA[name](one, 2).states.tolist() for name in ("slowest", "fastest"))
        assert slow == best([-value for value in logs], 2)
        assert fast == best(logs, 2)


def test_a_draw_is_decided_by_its_generator_and_reaches_every_state(seen):
    def drawn(seed):
        return CRITERIA["random"](seen[0][0], 2, generator=torch.Generator().manual_seed(seed)).states.tolist()

    assert drawn(0) == drawn(0)
    assert {state for seed in range(30) for state in drawn(seed)} == {*range(STATES)}


def test_a_draw_without_a_generator_is_refused(seen):
    with refused("generator is of type NoneType: a torch.Generator is needed", TypeError):
        CRITERIA["random"](seen[0][0], 2)


def test_of_equal_scores_the_first_are_kept():
    assert largest(torch.tensor([1.0, 2.0, 1.0, 2.0, 0.0]), 3).states.tolist() == [0, 1, 3]


def test_plain_states_are_read_as_before():
    choice = plain([3, 1], 4)
    assert choice.states.tolist() == [1, 3]
    assert_close(
        choice.mixing @ torch.tensor([5.0, 6.0, 7.0, 8.0], dtype=torch.float64), torch.tensor([6.0, 8.0]).double()
    )


def test_a_row_and_a_file_are_a_criterion(tmp_path, generator):
    with dummy("STATE_CHOICES", room, tmp_path, DUMMY):
        lm = model()
        small = reduce_states(lm, 2, "dummy", tokens(generator))
        for name, value in small.named_parameters():
            if name.endswith("A_log"):
                assert torch.equal(value, lm.get_parameter(name)[:, :2])
    with (
        dummy("STATE_CHOICES", room, tmp_path / "empty", None),
        pytest.raises(ImportError, match="'dummy' has no code"),
    ):
        reduce_states(lm, 2, "dummy", tokens(generator))
