"""Trainings of adapters as frames, tables and figures, on cases that one can check by hand."""

import matplotlib as mpl
import pandas as pd
import pytest

mpl.use("agg")
import matplotlib.pyplot as plt
from lora_records import costs, trainings

from lib.experiments import lora_cost, lora_labels, lora_tokens
from lib.experiments.lora_training import FULL, USUAL
from lib.report import accuracy, statistics
from lib.report.figures import lora as figures
from lib.report.frames import lora
from lib.report.tables import lora as tables


@pytest.fixture
def labels():
    return lora_labels.outcomes([trainings(lora_labels, **{FULL: {"accuracy": 0.7, "trainable": 1000}})])


@pytest.fixture
def tokens():
    return lora.summary(lora_tokens.outcomes([trainings(lora_tokens)]), ["before", "retained", "regained", "kept"])


def test_a_summary_has_the_mean_over_seeds_with_its_interval(labels):
    row = lora.summary(labels, ["accuracy"]).set_index("variant").loc[USUAL]
    assert row["accuracy"] == pytest.approx(0.65)
    assert row["accuracy_low"] < 0.65 < row["accuracy_high"]
    assert row["seeds"] == 2
    assert row["how"] == statistics.CLUSTERED


def test_seeds_of_one_checkpoint_count_once(labels):
    rows = labels[labels["variant"] == USUAL]
    again = pd.concat([rows, rows.assign(seed=rows["seed"] + 3)])
    columns = ["accuracy", "accuracy_low", "accuracy_high"]
    assert (lora.summary(again, ["accuracy"])[columns] == lora.summary(rows, ["accuracy"])[columns]).all(axis=None)


def test_the_ladder_is_full_fine_tuning_and_all_ranks(labels):
    found = lora.ladder(lora.summary(labels, ["accuracy"]))
    assert list(found["variant"]) == [FULL, *lora_labels.LADDER]


def test_costs_are_relative_to_the_baseline_of_their_part():
    cases = lora_cost.frame([costs()])
    step = lora.costs(cases, lora_cost.STEP).set_index("variant")
    assert step.loc[USUAL, "latency_ratio"] == pytest.approx(0.5)
    forward = lora.costs(cases, lora_cost.DEPLOYED).set_index("variant")
    assert forward.loc[lora_cost.APART, "latency_ratio"] == pytest.approx(1.1)


def test_accuracy_stands_beside_the_latency_of_the_same_tower(tokens):
    laid = lora.against_latency(tokens, lora.costs(lora_cost.frame([costs()]), lora_cost.SMALL))
    assert set(laid["latency_ratio"]) == {0.5}


def test_room_is_what_weights_and_adapters_leave():
    full, adapters = {"total": 1000}, {"trainable": 10, "memory_bytes": 440, "gradient_bytes": 40, "batch": 4}
    assert lora.room(full, adapters, 2120 + 500) == {"held": 2120, "per image": 50, "images": 10}


def test_new_labels_are_compared_with_full_fine_tuning(labels):
    differences = accuracy.compared(labels, FULL, ("variant",))
    lines = tables.labels(lora.summary(labels, ["accuracy"]), differences, "Table 1. T").data.splitlines()
    full = next(line for line in lines if line.startswith(f"| {FULL} "))
    low = next(line for line in lines if line.startswith(f"| {USUAL} "))
    assert "100.0 |" in full
    assert "1.0 |" in low
    assert "−10.0 ± 0.0" in low


def test_tokens_are_shown_before_and_after(tokens):
    shown = tables.tokens(tokens, "Table 1. T").data
    assert "50.0 ± 0.0" in shown
    assert "merge in rounds" in shown


def test_a_steps_costs_are_shown_over_those_of_a_full_one():
    rows = lora.costs(lora_cost.frame([costs()]), lora_cost.STEP)
    last = tables.cost(rows, "Table 1. T").data.splitlines()[-1]
    assert "80.0 B (1 / 100) |" in last
    assert "0.50 (0.50 – 0.50)" in last


def test_the_forward_pass_is_shown_over_the_original_models():
    rows = lora.costs(lora_cost.frame([costs()]), lora_cost.DEPLOYED)
    shown = tables.deployed(rows, "Table 1. T").data
    assert "latency / original" in shown
    assert "1.100 (1.100 – 1.100)" in shown


def test_figures_show_what_the_frames_hold(labels, tokens):
    _, axes = plt.subplots(1, 2)
    figures.accuracy_over_rank(axes[0], lora.ladder(lora.summary(labels, ["accuracy"])))
    assert [label.get_text() for label in axes[0].get_xticklabels()] == ["1", "2", "4", "8", "16", "32"]
    figures.latency_against_accuracy(axes[1], tokens.assign(latency_ratio=0.6))
    words = [text.get_text() for text in axes[1].get_legend().get_texts()]
    assert words == ["LoRA alone", "norm", "class attention", "merge in rounds"]
    plt.close("all")


def test_the_formulas_loss_is_drawn_by_rank():
    lost = pd.DataFrame({"model": ["a", "a", "b"], "rank": [1, 2, 1], "error": [0.5, 0.1, 0.4]})
    figure = figures.formula(lost, lost.rename(columns={"error": "accuracy"}))
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[0.5, 0.1], [0.4]]
    plt.close("all")
