"""Figures of compared distillations and of fewer states show every kind, and tell what was fine-tuned."""

import matplotlib.pyplot as plt
import pytest
from distill_records import banks, states
from rehearsal import alone

from lib.experiments import distill_compared as compared
from lib.experiments import distill_states
from lib.report import frames
from lib.report.figures import distill_compared
from lib.report.figures import distill_states as drawn
from lib.report.views.distill_states import COSTS, CRITERIA

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    made = [banks(task) for task in compared.TASKS] + [states(task) for task in distill_states.TASKS]
    return alone(tmp_path_factory.mktemp("runs"), *made)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def labelled(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def test_every_bank_of_every_task_has_a_panel(found):
    figure = distill_compared.accuracies(found)
    assert len(figure.axes) == len(compared.TASKS) * len(compared.BANKS)
    said = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"H2-optimal", "H2-optimal, before fine-tuning", compared.SCRATCH, compared.IN_TRAINING} <= said
    assert "modal" not in said  # it is never fine-tuned


def test_accuracy_stands_over_the_order_in_percent(found):
    at = {"task": "CIFAR-10, 2 x 2 patches", "bank": "S5"}
    rows, whole = frames.where(found.bank_quality, **at), frames.where(found.bank_originals, **at)
    ax = distill_compared.accuracy_over_order(plt.subplots()[1], rows, whole["accuracy"], "title")
    small, before = (labelled(ax)[name] for name in (compared.SCRATCH, "truncated SVD, before fine-tuning"))
    assert list(small.get_xdata()) == [2, 8]
    assert list(small.get_ydata()) == pytest.approx([80, 80])
    assert (small.get_linestyle(), before.get_linestyle()) == ("-", ":")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["2", "8"]
    dots = [line for line in ax.lines if line.get_marker() == "."]
    assert len(dots) == 2 * 3  # two orders of two methods and of the control; nothing before fine-tuning


def test_recall_is_shown_as_accuracy_and_characters_as_loss(found):
    figure = drawn.kept(found)
    assert [ax.get_ylabel() for ax in figure.axes] == ["accuracy [%]", "accuracy [%]", "test loss [nats]"]
    said = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {*CRITERIA, "original", "original, trained on", "small from the start"} <= said


def test_a_criterion_is_shown_before_and_after(found):
    ax = drawn.kept_over_states(plt.subplots()[1], frames.where(found.state_seeds, task="MQAR"), "accuracy", "title")
    lines = labelled(ax)
    assert list(lines["energy"].get_ydata()) == pytest.approx([96, 96, 96])
    assert list(lines["energy, before fine-tuning"].get_ydata()) == pytest.approx([93, 93, 93])
    assert list(lines["energy"].get_xdata()) == [2, 4, 8]


def test_time_stands_beside_its_floor_where_there_is_one(found):
    figure = drawn.costs(found)
    assert len(figure.axes) == len(COSTS)
    floors = ["floor of the scan" in labelled(ax) for ax in figure.axes]
    assert floors == [part in (distill_states.SCAN, distill_states.SCAN_TRAINING) for part in COSTS]
    bytes_ = labelled(figure.axes[-1])["state's bytes"]
    assert list(bytes_.get_ydata()) == pytest.approx([5 / 19, 7 / 19, 11 / 19, 1])
