"""Compared distillations and fewer states as the report reads them: paired by seed, corrected, told when absent."""

import numpy as np
import pytest
from distill_records import LONGER, STATES, banks, states
from rehearsal import alone

from lib.experiments import distill_compared, distill_states
from lib.experiments.distill_compared_runs import CONTROL, ORIGINAL
from lib.report import frames
from lib.report.frames import Missing
from lib.report.frames.paired import BELOW, TOGETHER
from lib.report.frames.scan_floor import floor, floors
from lib.report.views.distill_states import CRITERIA, RECALL, SMALL, TRAINED_ON, at_quarter

H2, SVD = "H2-optimal", "truncated SVD"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    made = [banks(task) for task in distill_compared.TASKS] + [states(task) for task in distill_states.TASKS]
    return alone(tmp_path_factory.mktemp("runs"), *made)


def test_methods_stand_against_their_original_by_seed(found):
    rows = found.bank_quality
    at = {"task": "CIFAR-10, 2 x 2 patches", "bank": "S4D-Real", "variant": H2, "order": 2}
    before, after = (frames.only(rows, healed=healed, **at) for healed in (False, True))
    assert (before["difference"], after["difference"]) == pytest.approx((-0.1, 0.0))
    assert before["accuracy"] == pytest.approx(0.75)
    assert before["difference_high"] - before["difference_low"] < 0.01  # and not the spread of originals
    assert (before["word"], after["word"]) == (BELOW, TOGETHER)
    assert set(rows["states"]) == {64}
    assert ORIGINAL not in set(rows["variant"])


def test_methods_stand_against_the_tuned_small_model_of_their_order(found):
    rows = found.against_tuned
    at = {"task": "PLAID, its own split", "bank": "S5", "variant": SVD, "order": 8, "healed": True}
    assert frames.only(rows, **at)["difference"] == pytest.approx(0.05)
    assert distill_compared.SCRATCH not in set(rows["variant"])
    assert distill_compared.IN_TRAINING not in set(rows["variant"])  # its order is a mean: no control has it


def test_a_rank_is_no_number_of_states(found):
    variants = set(found.kept_with_states["variant"])
    assert SVD not in variants
    assert {H2, distill_compared.IN_TRAINING} <= variants


def test_errors_beyond_and_other_lengths_are_means(found):
    taps = frames.where(found.bank_taps, bank="S4D-Lin", variant=H2, order=2)
    assert taps.groupby("multiple")["relative_error"].mean().to_dict() == pytest.approx({2: 0.2, 4: 0.4})
    lengths = found.bank_lengths
    assert set(lengths["length"]) == {LONGER}
    assert set(lengths["task"]) == {"PLAID, its own split"}
    assert frames.where(lengths, variant=ORIGINAL)["accuracy"].to_numpy() == pytest.approx(0.65)


def test_times_are_relative_to_the_original_of_the_same_bank(found):
    rows = found.bank_times
    assert set(rows.loc[rows["variant"] != ORIGINAL, "latency_ratio"]) == {0.5}
    assert found.bank_minutes > 0
    assert found.bank_protocol == "rates by held-back data"


def test_what_diverged_has_no_row_and_others_stay(tmp_path):
    made = [banks(task, diverged=("h2_optimal",)) for task in distill_compared.TASKS]
    rows = alone(tmp_path, *made).bank_quality
    assert H2 not in set(rows["variant"])
    assert SVD in set(rows["variant"])


def test_a_task_that_is_not_recorded_is_named(tmp_path):
    found = alone(tmp_path, banks("cifar"))
    assert set(found.bank_quality["task"]) == {"CIFAR-10, 2 x 2 patches"}
    assert found.bank_lacking == ["PLAID, its own split"]


def test_an_original_that_diverged_is_missing(tmp_path):
    made = [banks(task, diverged=(ORIGINAL,)) for task in distill_compared.TASKS]
    with pytest.raises(Missing, match="no case with variant original"):
        _ = alone(tmp_path, *made).bank_quality


def test_states_stand_against_the_original_and_against_the_one_trained_on(tmp_path):
    def lost(variant, order, healed):
        return {distill_states.ORIGINAL: 0.1, "continued": 0.0}.get(variant, 0.03)

    rows = alone(tmp_path, *(states(task, lost) for task in distill_states.TASKS))
    at = {"task": "MQAR", "variant": CRITERIA[0], "order": 4, "healed": True}
    assert frames.only(rows.state_quality, **at)["difference"] == pytest.approx(0.07)
    assert frames.only(rows.state_quality_equal, **at)["difference"] == pytest.approx(-0.03)
    assert frames.only(rows.state_losses, **at)["difference"] == pytest.approx(0.03)
    assert rows.states_whole == STATES
    assert TRAINED_ON in set(rows.state_quality["variant"])


def test_reductions_stand_against_as_small_a_model(found):
    rows = found.states_against_small
    assert set(rows["variant"]) == set(CRITERIA)
    assert rows["difference"].to_numpy() == pytest.approx(0.2)
    assert SMALL not in set(rows["variant"])


def test_recall_is_judged_where_there_is_recall(found):
    assert RECALL == ("MQAR", "selective copying, long")
    assert [(one.task, one.states, one.whole) for one in found.recalls] == [(task, 4, 16) for task in RECALL]


def test_costs_are_relative_to_all_states_of_the_same_size(found):
    rows = frames.where(found.state_costs, dim=256, states=4)
    assert rows["latency_ratio"].to_numpy() == pytest.approx(0.25 + 0.75 / 4)
    assert rows["state_ratio"].to_numpy() == pytest.approx(7 / 19)
    scan = frames.only(rows, part=distill_states.SCAN)
    assert scan["floor"] == pytest.approx((4 * 12 + 48) / (16 * 12 + 48))
    assert np.isnan(frames.only(rows, part=distill_states.STREAMED)["floor"])


def test_a_floor_is_one_with_all_states_and_unknown_on_a_gpu():
    for part in (distill_states.SCAN, distill_states.SCAN_TRAINING):
        ratios = [floor(part, count, 16) for count in (2, 4, 8, 16)]
        assert ratios == sorted(ratios)
        assert ratios[-1] == 1
        assert all(ratio > count / 16 for ratio, count in zip(ratios[:-1], (2, 4, 8), strict=True))
    assert np.isnan(floors([distill_states.SCAN], [4], 16, "cuda")).all()


def test_reductions_of_one_kind_are_chosen(found):
    rows = at_quarter(found.state_seeds, "MQAR", 4, healed=False)
    assert set(rows["variant"]) == set(CRITERIA)
    assert len(rows) == 3 * len(CRITERIA)
    assert CONTROL not in set(rows["variant"])
