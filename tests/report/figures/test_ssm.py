import matplotlib as mpl
import numpy as np
import pytest

mpl.use("agg")
import matplotlib.pyplot as plt
from rehearsal import evidence

from lib.report.figures import ssm


@pytest.fixture
def ax():
    yield plt.subplots()[1]
    plt.close("all")


def test_a_mixing_matrix_has_its_first_output_on_top(ax):
    ssm.mixing(ax, np.tril(np.ones((3, 3))), "title")
    low, high = ax.get_ylim()
    assert low > high
    assert not ax.images  # an image would be a raster in print


def test_one_curve_is_drawn_per_state(ax):
    ssm.responses(ax, np.arange(5), np.ones((5, 3)), "HiPPO")
    assert len(ax.lines) == 3


def test_a_loss_curve_shows_the_levels_to_compare_with(ax):
    ssm.loss_curve(ax, [4.0, 3.0, 2.0], held_out=2.5, chance=3.4)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[2:] == ["text held out, at the end", "characters by their frequency alone"]


def test_a_system_and_a_matrix_have_a_panel_each(ax):
    figure = ssm.impulses(np.arange(5), {"HiPPO": np.ones((5, 9)), "S4D": np.ones((5, 3))})
    assert [(one.get_title(), len(one.lines)) for one in figure.axes] == [("HiPPO", ssm.SHOWN), ("S4D", 3)]
    figure = ssm.mixings({"fixed": np.eye(2), "selective": np.eye(2)})
    assert [one.get_title() for one in figure.axes] == ["fixed", "selective"]


def test_growth_shows_latency_and_memory_of_every_mixer_with_its_slope(tmp_path, ax):
    found = evidence(tmp_path)
    figure = ssm.growth(found)
    assert [one.get_ylabel() for one in figure.axes] == ["latency [ms]", "peak memory [MiB]"]
    for panel, slopes in zip(figure.axes, (found.mixing_seconds, found.mixing_memory), strict=True):
        labels = [text.get_text() for text in panel.get_legend().get_texts()]
        assert [label.partition(":")[0] for label in labels] == list(slopes["variant"])
        assert all(f"slope {one:.2f}" in label for label, one in zip(labels, slopes["slope"], strict=True))


def test_a_training_is_one_panel(ax):
    figure = ssm.training([3.0, 2.0], held_out=2.5, chance=3.0)
    assert len(figure.axes) == 1
