"""Views of the fair comparison: what is recorded is read, what is not is named."""

import pytest
from compared_records import BASELINE, HYBRID, LOW, USUAL, compared, references
from rehearsal import alone

from lib.experiments.mrss_fair import RATES
from lib.report.frames import Missing


@pytest.fixture
def found(tmp_path):
    made = compared("tagging_forms", {BASELINE: (1.0, {"steps": 1.0}), LOW: (0.5, {"steps": 1.1})})
    return alone(tmp_path, compared(lengths=(96, 256)), made, references())


def test_plans_that_are_recorded_are_read_and_the_others_named(found):
    assert found.fair_plans == ["tagging", "tagging_forms"]
    assert list(found.fair_results["task"].unique()) == ["tagging", "tagging, other forms"]
    assert "MQAR" in found.fair_lacking
    assert "tagging" not in found.fair_lacking


def test_a_plan_of_other_forms_has_its_benchmarks_references(found):
    rows = found.fair_references
    assert set(rows["task"]) == {"tagging", "tagging, other forms"}
    assert set(rows["variant"]) == {"1-NN", "CNN"}
    assert rows.set_index(["task", "variant"]).loc[("tagging", "CNN"), "loss"] == 1.5


def test_losses_are_laid_over_time_and_accuracies_over_length(found):
    assert set(found.fair_curves["variant"]) == {BASELINE, LOW, HYBRID}
    assert set(found.fair_lengths["length"]) == {96, 256}


def test_trials_are_read(found):
    rows = found.fair_tried.query("task == 'tagging' and variant == @LOW")
    assert list(rows["rate"]) == list(RATES)
    assert rows.loc[rows["loss"].idxmin(), "rate"] == RATES[1]


def test_a_trial_that_diverged_has_no_loss(tmp_path):
    made = compared()
    cases = [
        one.model_copy(update={"valid_losses": {}, "seconds": [], "error": "the loss was not finite"})
        if one.parameters["part"] == "tried" and one.parameters["rate"] == RATES[-1]
        else one
        for one in made.cases
    ]
    rows = alone(tmp_path, made.model_copy(update={"cases": cases})).fair_tried
    assert rows["loss"].isna().sum() == len(USUAL)


def test_published_numbers_stand_beside_a_benchmark(tmp_path):
    found = alone(tmp_path, compared("vowels"), compared("mqar")).fair_published
    assert list(found) == ["JapaneseVowels"]
    assert all(one.accuracy for one in found["JapaneseVowels"])


def test_without_records_that_is_said(tmp_path):
    with pytest.raises(Missing, match="there is no record of mrss_compared_"):
        alone(tmp_path).fair_results  # noqa: B018


def test_protocols_that_differ_are_named(tmp_path):
    other = compared("plaid")
    other = other.model_copy(update={"parameters": other.parameters | {"protocol": "another"}})
    found = alone(tmp_path, compared(), other)
    with pytest.raises(Missing, match="mrss_compared_tagging and mrss_compared_plaid were trained by different"):
        found.fair_protocol  # noqa: B018
