import matplotlib as mpl
import pandas as pd
import pytest

mpl.use("agg")
import matplotlib.pyplot as plt

from lib.report.figures import mrss as draw


@pytest.fixture
def ax():
    yield plt.subplots()[1]
    plt.close("all")


def row(variant, **values):
    return {"machine": "M", "task": "t", "budget": "steps", "variant": variant, "length": 8, **values}


@pytest.fixture
def costs():
    rows = [
        row(variant, length=length, latency_ratio=ratio, latency_ratio_low=ratio - 0.1, latency_ratio_high=ratio + 0.2)
        for variant, ratio in (("baseline", 1.0), ("low", 0.4), ("dual", 1.5))
        for length in (8, 16)
    ]
    return pd.DataFrame(rows).assign(memory_ratio=0.5)


@pytest.fixture
def quality():
    rows = [row("baseline", accuracy=0.9, difference=0.0, difference_low=0.0, difference_high=0.0)]
    for budget, difference in (("steps", -0.02), ("operations", 0.01)):
        found = {"difference": difference, "difference_low": difference - 0.005, "difference_high": difference + 0.01}
        rows.append(row("low", accuracy=0.9 + difference, **found) | {"budget": budget})
    return pd.DataFrame(rows)


def drawn(ax):
    return {bars.get_label(): bars.lines[0] for bars in ax.containers}


def test_ratios_are_drawn_per_variant_without_the_baselines_own(ax, costs):
    assert draw.ratio_over_length(ax, costs) is ax
    assert {name: list(line.get_ydata()) for name, line in drawn(ax).items()} == {"low": [0.4, 0.4], "dual": [1.5, 1.5]}
    low, high = ax.get_ylim()
    assert low == 0
    assert high > 1.5
    assert ax.get_ylabel() == "latency / baseline"


def test_a_ratio_without_quartiles_has_no_bars(ax, costs):
    draw.ratio_over_length(ax, costs, "memory_ratio")
    assert all(bars.lines[2] == () for bars in ax.containers)
    assert ax.get_ylabel() == "peak memory / baseline"


def test_differences_are_in_points_by_budget(ax, quality):
    draw.accuracy_differences(ax, quality)
    found = {name: list(line.get_xdata()) for name, line in drawn(ax).items()}
    assert found == {"equal steps": [-2], "equal operations": [1]}
    assert ax.get_title() == "t: baseline 90.0 %"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["low"]


def test_bars_end_where_the_interval_does(ax, quality):
    draw.accuracy_differences(ax, quality)
    (_, _, (segments,)) = ax.containers[0]
    (start, _), (end, _) = segments.get_segments()[0]
    assert (start, end) == pytest.approx((-2.5, -1.0))


def test_the_chosen_task_is_set_off(ax, quality):
    both = pd.concat([quality, quality.assign(task="u")]).query("variant == 'low' and budget == 'steps'")
    draw.pareto(ax, both.assign(latency_ratio=0.4), "u")
    (line,) = drawn(ax).values()
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([0.4], [-2])
    assert len(ax.collections[0].get_offsets()) == 2
    assert ax.get_title() == "u: left is faster, up is better"


@pytest.mark.parametrize(
    ("task", "solved", "label"),
    [
        ("u", [None, None], "accuracy − baseline's [points]"),
        ("u", [2, None], "share of seeds that solve it\n− baseline's [points]"),
        (None, [2, None], "accuracy − baseline's [points]\n(u: share of seeds that solve it)"),
    ],
)
def test_the_axis_says_whether_seeds_are_counted(ax, quality, task, solved, label):
    both = pd.concat([quality.assign(task="u"), quality]).query("variant == 'low' and budget == 'steps'")
    draw.pareto(ax, both.assign(latency_ratio=0.4, solved=solved), task)
    assert ax.get_ylabel() == label


def test_a_task_that_seeds_solve_or_not_has_a_dot_per_seed(ax):
    rows = [row("baseline", seed=seed, accuracy=1.0) for seed in (0, 1)]
    rows += [row("low", seed=seed, accuracy=share) for seed, share in enumerate((0.1, 1.0))]
    rows += [row("low", seed=0, accuracy=0.5) | {"budget": "operations"}]
    draw.accuracy_of_seeds(ax, pd.DataFrame(rows))
    found = {line.get_label(): sorted(line.get_xdata()) for line in ax.lines}
    assert found == {"equal steps": [10, 100, 100, 100], "equal operations": [50]}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["baseline", "low"]


def test_every_seed_has_its_line_and_every_variant_one_name(ax):
    rows = [
        {"task": "t", "variant": variant, "seed": seed, "step": step, "loss": 1 / step}
        for variant in ("baseline", "low")
        for seed in (0, 1)
        for step in (20, 40)
    ]
    assert draw.loss_curves(ax, pd.DataFrame(rows)) is ax
    assert len(ax.lines) == 4
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["baseline", "low"]
    assert ax.lines[0].get_linestyle() != ax.lines[2].get_linestyle()
