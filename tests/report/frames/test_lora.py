"""Trainings of adapters as frames, tables and figures, on cases that one can check by hand."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from lib import records
from lib.report import accuracy, adapting, adapting_figures


@dataclass(frozen=True)
class Plan:
    """What `cases` reads of `lib.tasks.adaptations.Plan`."""

    seed: int
    way: str = "lora"
    place: str = "all linear"
    rank: int = 2
    init: str = "zero"
    method: str = "norm"
    keep: float = 0.5
    steps: int = 20


def result(reduced, after, whole=0.8, unreduced=0.7, trainable=10):
    found = {"whole": whole, "reduced": reduced, "accuracy": after, "unreduced": unreduced, "seconds": 3.0}
    return found | {
        "losses": [2.0] * 19 + [1.0],
        "trainable": trainable,
        "total": 1000,
        "optimiser_bytes": 8 * trainable,
    }


@pytest.fixture
def record():
    found = {Plan(seed, "full"): result(0.4, 0.7 + seed / 10, trainable=1000) for seed in (0, 1)}
    found |= {Plan(seed): result(0.4, 0.6 + seed / 10) for seed in (0, 1)}
    names = [adapting.FULL, adapting.USUAL]
    cases = adapting.cases(found, names, goal="tokens", task="scenes", batch=4)
    return records.new("lora_tokens_scenes", cases, seed=0, parameters={})


@pytest.fixture
def frame(record):
    return adapting.outcomes([record])


def test_trainings_become_cases_and_come_back(record, frame):
    assert len(record.cases) == 8  # two variants, four accuracies
    assert len(frame) == 4
    one = frame[(frame["variant"] == adapting.USUAL) & (frame["seed"] == 1)].iloc[0]
    assert one["accuracy"] == pytest.approx(0.7)
    assert one["retained"] == pytest.approx(0.7 / 0.8)
    assert one["before"] == pytest.approx(0.4 / 0.8)
    assert one["kept"] == pytest.approx(0.7 / 0.8)
    assert one["share"] == pytest.approx(0.01)
    assert (one["rank"], one["keep"], one["steps"]) == (2, 0.5, 20)


def test_every_training_counts_its_time_once(record):
    assert accuracy.training_minutes([record]) == pytest.approx(4 * 3 / 60)


def test_the_last_losses_are_means_over_seeds(record):
    assert adapting.last_losses([record]) == {("scenes", adapting.FULL): 1.0, ("scenes", adapting.USUAL): 1.0}


def test_names_that_are_too_few_are_noticed():
    with pytest.raises(ValueError, match=r"shorter|longer"):
        adapting.cases({Plan(0): result(0.4, 0.5), Plan(0, rank=4): result(0.4, 0.5)}, ["one"])


def test_a_summary_has_the_mean_over_seeds_with_its_interval(frame):
    row = adapting.summary(frame, ["accuracy"]).set_index("variant").loc[adapting.USUAL]
    assert row["accuracy"] == pytest.approx(0.65)
    assert row["accuracy_low"] < 0.65 < row["accuracy_high"]
    assert row["seeds"] == 2


def test_new_labels_are_compared_with_full_fine_tuning(frame):
    differences = accuracy.compared(frame, adapting.FULL, ("variant",))
    shown = adapting.labels_table(adapting.summary(frame, ["accuracy"]), differences, "Table 1. T").data
    full, low = shown.splitlines()[-2:]
    assert "100.0 |" in full
    assert "1.0 |" in low
    assert "−10.0 ± 0.0" in low


def test_tokens_are_shown_before_and_after(frame):
    shown = adapting.tokens_table(adapting.summary(frame, ["before", "retained", "kept"]), "Table 1. T").data
    assert "50.0 ± 0.0" in shown
    assert "norm" in shown


def test_a_steps_costs_are_shown_over_those_of_a_full_one():
    costs = pd.DataFrame(
        {
            "variant": [adapting.FULL, "LoRA"],
            **{"trainable": [1000, 10], "gradient_bytes": [4000, 40], "optimiser_bytes": [8000, 80]},
            **{"latency_ratio": [1, 0.7], "latency_ratio_low": [1, 0.6], "latency_ratio_high": [1, 0.8]},
            "memory_ratio": [1, 0.5],
        }
    )
    last = adapting.cost_table(costs, "Table 1. T").data.splitlines()[-1]
    assert "80.0 B (1 / 100) |" in last
    assert "0.70 (0.60 – 0.80)" in last


def test_room_is_what_weights_and_adapters_leave():
    full, adapters = {"total": 1000}, {"trainable": 10, "memory_bytes": 440, "gradient_bytes": 40, "batch": 4}
    assert adapting.room(full, adapters, 2120 + 500) == {"held": 2120, "per image": 50, "images": 10}


def test_figures_show_what_the_frames_hold(frame):
    _, axes = plt.subplots(1, 3)
    means = adapting.summary(frame, ["accuracy", "before", "retained"])
    adapting_figures.accuracy_over_rank(axes[0], means)
    assert [label.get_text() for label in axes[0].get_xticklabels()] == ["2"]
    laid = means.assign(latency_ratio=[1.0, 0.6])
    adapting_figures.latency_against_accuracy(axes[1], laid)
    assert axes[1].get_legend().get_texts()[0].get_text() == "norm"
    lost = pd.DataFrame({"model": ["a", "a", "b"], "rank": [1, 2, 1], "error": [0.5, 0.1, 0.4]})
    adapting_figures.lost_by_rank(axes[2], lost, "error", "error")
    assert [list(line.get_ydata()) for line in axes[2].lines] == [[0.5, 0.1], [0.4]]
    plt.close("all")


def test_where_nothing_is_recorded_one_line_says_how():
    with pytest.raises(ValueError, match="no trainings are recorded: run"):
        adapting.outcomes([])
