import matplotlib as mpl
import pytest

mpl.use("agg")
import matplotlib.pyplot as plt

from lib.report import figures, frames


@pytest.fixture
def ax():
    yield plt.subplots()[1]
    plt.close("all")


@pytest.fixture
def frame(record):
    return frames.ratios(frames.gather([record], "factors"))


def heights(ax):
    """Every plotted height but the baseline's dashes, sorted."""
    solid = [line for line in ax.lines if line.get_linestyle() in ("None", "")]
    return sorted({float(y) for line in solid for y in line.get_ydata() if line.get_marker() in figures.MARKERS})


def test_latency_is_drawn_as_ratios_with_a_line_at_the_baseline(ax, frame):
    assert figures.latency_by_factor(ax, frame) is ax
    assert heights(ax) == [2, 3]
    assert any(list(line.get_ydata()) == [1, 1] for line in ax.lines)


def test_the_title_counts_what_is_seen(ax, frame):
    figures.latency_by_factor(ax, frame)
    assert ax.get_title() == "2 of 2 points need more latency than the baseline"


def test_nothing_is_cut_off(ax, frame):
    figures.latency_by_factor(ax, frame)
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylim()[1] > 3


def test_memory_is_drawn_as_ratios(ax, frame):
    figures.memory_by_factor(ax, frame)
    assert heights(ax) == [2, 2.5]
    assert ax.get_ylabel() == "peak memory / baseline"


def test_length_has_log_axes_units_and_slopes(ax, record):
    rows = frames.gather([record], "lengths")
    figures.latency_over(ax, rows, frames.slopes(rows))
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlabel().endswith("[tokens]")
    assert ax.get_ylabel().endswith("[ms]")
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["baseline: slope 1.00 [1.00, 1.00]", "r = 2: slope 0.50 [0.50, 0.50]"]


def test_series_differ_in_more_than_colour(ax, frame):
    figures.latency_by_factor(ax, frames.pd.concat([frame, frame.assign(machine="elsewhere")]))
    markers = [line.get_marker() for line in ax.lines if line.get_marker() in figures.MARKERS]
    assert len(set(markers)) == 2


def test_memory_is_drawn_over_any_size_in_mebibytes(ax, record):
    rows = frames.gather([record], "lengths").assign(memory_bytes=2**20)
    figures.memory_over(ax, rows, frames.slopes(rows, "memory_bytes"))
    assert ax.get_ylabel() == "peak memory [MiB]"
    assert all((line.get_ydata() == 1).all() for line in ax.lines if len(line.get_ydata()) == 3)
