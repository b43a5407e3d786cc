"""Figures of the fair comparison: every model is a point, every point has its label, none over another."""

import matplotlib as mpl
import pandas as pd
import pytest
from compared_records import BASELINE, HYBRID, LOW, compared, gates, references, table
from rehearsal import alone

mpl.use("agg")
import matplotlib.pyplot as plt

from lib.experiments import mrss_compared
from lib.report.figures import mrss_compared as draw
from lib.report.frames.mrss_compared import over_time

REFERENCES = pd.DataFrame({"variant": ["1-NN", "CNN"], "accuracy": [0.5, 0.7], "loss": [float("nan"), 1.5]})


@pytest.fixture
def ax():
    yield plt.subplots()[1]
    plt.close("all")


@pytest.fixture(scope="module")
def made():
    return compared(lengths=(96, 256), right={LOW: [0.6, 0.7, 0.8]})


@pytest.fixture(scope="module")
def found(made):
    return table(made)


def points(ax):
    return sorted((round(float(x), 6), round(float(y), 6)) for one in ax.collections for x, y in one.get_offsets())


def test_every_model_is_a_point_at_its_training_time(ax, found):
    draw.against(ax, found, REFERENCES, "training_seconds")
    wanted = [(20, 1.005), (40, 0.9), (32, 1.2), (40, 1.1), (40, 1.0), (40, 1.0)]
    assert points(ax) == sorted(wanted)
    assert ax.get_ylabel() == "test loss [nats]"
    assert {text.get_text() for text in ax.texts} == {BASELINE, LOW, HYBRID, "CNN"}  # 1-NN has no loss
    assert [line.get_ydata()[0] for line in ax.lines] == [1.0, 1.5]


def test_memory_is_in_mebibytes(ax, found):
    draw.against(ax, found, REFERENCES, "memory_mib")
    assert points(ax)[0] == (round(500 / 2**20, 6), 0.9)


@pytest.mark.parametrize(
    ("task", "column", "label", "scale"),
    [
        ("tagging", "loss", "test loss [nats]", 1),
        ("characters", "loss", "test loss [bits per character]", 1.4426950408889634),
        ("MQAR", "accuracy", "test accuracy [%]", 100),
        ("JapaneseVowels", "accuracy", "test accuracy [%]", 100),
    ],
)
def test_a_task_is_shown_by_what_it_asks(task, column, label, scale):
    assert draw.quality(task) == (column, label, pytest.approx(scale))


def test_losses_end_where_measured_time_does(ax, made, found):
    draw.over_time(ax, over_time(mrss_compared.curves([made]), found))
    ends = {line.get_label(): (line.get_xdata()[-1], round(line.get_ydata()[-1], 3)) for line in ax.lines}
    assert ends == {BASELINE: (40, 1.0), LOW: (40, 0.9), HYBRID: (40, 1.1)}


@pytest.mark.parametrize(("ends", "between"), [((2.0, 1.1), True), ((2.0, 1e-3), False)])
def test_labels_of_a_log_axis_have_room(ax, ends, between):
    at = {"task": "tagging", "variant": BASELINE, "budget": "steps", "seconds": [0.0, 1.0]}
    draw.over_time(ax, pd.DataFrame(at | {"loss": ends}))
    ax.figure.canvas.draw()
    assert any(label.get_text() for label in ax.yaxis.get_minorticklabels()) == between


def test_accuracies_are_drawn_by_length_a_dot_a_seed(ax, made):
    rows = mrss_compared.outcomes([made])
    draw.by_length(ax, rows[rows["part"] == "lengths"].astype({"length": float}))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["96", "256"]
    means = {line.get_label(): list(line.get_ydata()) for line in ax.lines if not line.get_label().startswith("_")}
    assert means[LOW] == pytest.approx([70, 70])
    dots = [line for line in ax.lines if line.get_linestyle() == "None"]
    assert sum(len(line.get_xdata()) for line in dots) == 3 * 2 * 3


@pytest.mark.parametrize(
    ("heights", "placed"),
    [
        ([0.1, 0.5], [0.1, 0.5]),
        ([0.1, 0.1], [0.1, 0.1 + draw.GAP]),
        ([0.98, 0.98], [1 - draw.GAP, 1.0]),
        ([], []),
    ],
)
def test_labels_do_not_meet_and_do_not_leave_the_axis(heights, placed):
    assert draw.spread(heights) == pytest.approx(placed)


@pytest.mark.parametrize(
    ("variant", "kind"),
    [
        ("baseline", "baseline"),
        ("low, r = 4", "low"),
        ("hybrid 1 + 3, r = 4", "hybrid"),
        ("4 x 4 patches", "patches and stems"),
        ("pooled, r = 4", "patches and stems"),
        ("hnet, r = 4", "other forms"),
    ],
)
def test_kinds_are_known_by_their_labels(variant, kind):
    assert draw.kind_of(variant) == kind


def test_every_figure_of_the_chapter_has_a_panel_for_each_task(tmp_path):
    recall = compared("mqar", lengths=(256, 512))
    found = alone(tmp_path, compared(), recall, compared("plaid"), references(), gates())
    panels = {"frontier": 6, "losses_over_time": 3, "accuracies_by_length": 1, "gates_used": 3, "gates_latency": 1}
    assert {name: len(getattr(draw, name)(found).axes) for name in panels} == panels
    plt.close("all")
    assert found.gates_trained["used"].tolist() == [0.5]
    rows = found.gates_timed.set_index(["form", "gate"])["latency_ratio"]
    assert (rows["dynamic", "as learned"], rows["dynamic", "all open"]) == (0.5, 2.0)
