import matplotlib as mpl
import pandas as pd
import pytest

mpl.use("agg")
import matplotlib.pyplot as plt

from lib.report.figures import mrss_gates as draw


@pytest.fixture
def ax():
    yield plt.subplots()[1]
    plt.close("all")


@pytest.fixture
def signals():
    rows = {"token": range(4), "signal": [0.0, 1.0, -1.0, 0.5], "slow": [0, 0, 1, 1], "fast": [2, 0, 0, 1]}
    return pd.DataFrame(rows).assign(machine="M")


def tokens(form, *mixers):
    rows = [
        {"form": form, "mixer": number, "token": token, "used": share}
        for number, shares in enumerate(mixers, start=1)
        for token, share in enumerate(shares)
    ]
    return pd.DataFrame(rows)


def test_states_are_numbered_from_one(ax, signals):
    draw.states(ax, signals)
    found = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert found == {"slow": [1, 1, 2, 2], "fast": [3, 1, 1, 2]}
    assert list(ax.get_yticks()) == [1, 2, 3]


def test_a_use_is_averaged_over_gates_and_said(ax):
    draw.use(ax, tokens("sparse_gate", [1, 1, 0, 0], [1, 0, 0, 0]))
    assert ax.get_title() == "sparse gate: 38 % computed, mean of 2 gates"
    assert ax.collections[0].get_datalim(ax.transData).y1 == 1
    draw.use(ax, tokens("dual", [0.5] * 4))
    assert ax.get_title() == "dual: 50 % mean weight of the full rate"


def test_a_panel_per_form_lies_beneath_the_signal(signals):
    shown = pd.concat([tokens("dynamic", [1, 1, 0, 0]), tokens("hnet", [1, 0, 0, 1])])
    figure = draw.uses(signals, shown)
    titles = [ax.get_title().partition(":")[0] for ax in figure.axes]
    assert titles == ["A test signal", "What it was made of", "dynamic", "H-Net"]
    assert figure.axes[-1].get_xlabel() == "token"
    plt.close(figure)


def test_latencies_are_drawn_by_gate_without_the_baselines_own(ax):
    rows = [("baseline", "as learned", 1.0), ("dual", "as learned", 1.2), ("dynamic", "as learned", 0.6)]
    rows += [("dynamic", "all open", 0.9), ("dynamic", "all closed", 0.3)]
    frame = pd.DataFrame(rows, columns=["form", "gate", "latency_ratio"])
    frame = frame.assign(
        latency_ratio_low=frame["latency_ratio"] - 0.1, latency_ratio_high=frame["latency_ratio"] + 0.1
    )
    draw.latency(ax, frame)
    found = {one.get_label(): list(one.lines[0].get_xdata()) for one in ax.containers}
    assert found == {"as learned": [1.2, 0.6], "all open": [0.9], "all closed": [0.3]}
    assert ax.get_title() == "As learned, 1 of 2 forms are faster than the baseline"
