import matplotlib as mpl
import pytest

mpl.use("agg")
import matplotlib.pyplot as plt

from lib.report import figures, frames
from lib.report.figures import mrss


@pytest.fixture
def ax():
    yield plt.subplots()[1]
    plt.close("all")


def heights(ax):
    """Every plotted height but the baseline's dashes, sorted."""
    solid = [line for line in ax.lines if line.get_linestyle() in ("None", "")]
    return sorted({float(y) for line in solid for y in line.get_ydata() if line.get_marker() in figures.MARKERS})


def test_latency_is_drawn_as_ratios_with_a_line_at_the_baseline(ax, factors):
    assert mrss.latency_by_factor(ax, factors) is ax
    assert heights(ax) == [2, 3]
    assert any(list(line.get_ydata()) == [1, 1] for line in ax.lines)


def test_the_title_counts_what_is_seen(ax, factors):
    mrss.latency_by_factor(ax, factors)
    assert ax.get_title() == "2 of 2 points need more latency than the baseline"


def test_nothing_is_cut_off(ax, factors):
    mrss.latency_by_factor(ax, factors)
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylim()[1] > 3


def test_memory_is_drawn_as_ratios(ax, factors):
    mrss.memory_by_factor(ax, factors)
    assert heights(ax) == [2, 2.5]
    assert ax.get_ylabel() == "peak memory / baseline"


def test_length_has_log_axes_units_and_slopes(ax, lengths):
    figures.latency_over(ax, lengths, frames.slopes(lengths))
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlabel().endswith("[tokens]")
    assert ax.get_ylabel().endswith("[ms]")
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["baseline: slope 1.00 [1.00, 1.00]", "r = 2: slope 0.50 [0.50, 0.50]"]


def test_series_differ_in_more_than_colour(ax, factors):
    mrss.latency_by_factor(ax, frames.pd.concat([factors, factors.assign(machine="elsewhere")]))
    markers = [line.get_marker() for line in ax.lines if line.get_marker() in figures.MARKERS]
    assert len(set(markers)) == 2


def test_memory_is_drawn_over_any_size_in_mebibytes(ax, lengths):
    rows = lengths.assign(memory_bytes=2**20)
    figures.memory_over(ax, rows, frames.slopes(rows, "memory_bytes"))
    assert ax.get_ylabel() == "peak memory [MiB]"
    assert all((line.get_ydata() == 1).all() for line in ax.lines if len(line.get_ydata()) == 3)


@pytest.mark.parametrize("count", [1, 2, 10])
def test_machines_are_compared_side_by_side_and_named_once(count):
    machines = [f"M{number}" for number in range(count)]
    rows = [{"machine": machine, "what": "a / b", "ratio": 0.5, "low": 0.4, "high": 0.7} for machine in machines]
    rows.append(rows[0] | {"what": "c / d"})  # the others have no record of it
    figure, ax = plt.subplots(layout="constrained")
    figures.across_machines(ax, figures.pd.DataFrame(rows))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a / b", "c / d"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == machines
    places = {round(float(y), 6) for bars in ax.containers for y in bars.lines[0].get_ydata()}
    assert len(places) == count + 1
    plt.close("all")
