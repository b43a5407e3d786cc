"""Figures of distilled kernels show what their frames hold."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lib.report.figures import MARKERS, distill


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


@pytest.fixture
def frame():
    rows = [
        {"variant": variant, "order": order, "relative_error": 1 / order}
        for variant in ("modal", "truncated SVD")
        for order in (4, 2)
    ]
    return pd.DataFrame(rows)


def test_spectra_stand_over_their_largest_value(ax):
    rows = pd.DataFrame({"bank": "initial", "number": [1, 2], "value": [4.0, 1.0]})
    distill.spectra(ax, rows, "title")
    assert list(ax.lines[0].get_ydata()) == [1, 0.25]
    assert ax.get_yscale() == "log"


def test_more_banks_than_dashes_have_a_line_each(ax):
    names = [f"bank {number}" for number in range(7)]
    rows = pd.DataFrame({"bank": names, "number": 1, "value": 1.0})
    distill.spectra(ax, rows, "title", names)
    assert [line.get_label() for line in ax.lines[:7]] == names
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines[:7]}) == 7


def test_every_method_has_its_line_from_low_to_high_order(ax, frame):
    distill.error_over_order(ax, frame, "title")
    assert [list(line.lines[0].get_xdata()) for line in ax.containers] == [[2, 4], [2, 4]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["modal", "truncated SVD"]
    assert len({line.lines[0].get_marker() for line in ax.containers}) == 2


def test_accuracies_are_shown_in_points(ax, frame):
    rows = frame.rename(columns={"relative_error": "difference"})
    rows = rows.assign(difference_low=rows["difference"] / 2, difference_high=2 * rows["difference"])
    distill.accuracy_over_order(ax, rows, "title")
    assert list(ax.containers[0].lines[0].get_ydata()) == [50, 25]


def test_a_kernel_stands_beside_what_replaces_it(ax):
    distill.kernels(ax, np.array([1.0, 0.5]), np.array([1.0, 0.4]), "channel 3")
    assert [list(line.get_ydata()) for line in ax.lines] == [[1.0, 0.5], [1.0, 0.4]]
    assert ax.get_title() == "channel 3"


def timed(**columns):
    return pd.DataFrame({"variant": "recurrence", "length": [1024, 2048], **columns})


def test_a_latency_stands_over_the_length(ax):
    rows = timed(latency_ratio=[0.5, 0.25], latency_ratio_low=[0.4, 0.2], latency_ratio_high=[0.6, 0.3])
    distill.latency_over_length(ax, rows, "title", ["full kernel", "recurrence"])
    assert list(ax.containers[0].lines[0].get_ydata()) == [0.5, 0.25]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1,024", "2,048"]
    assert ax.containers[0].lines[0].get_marker() == MARKERS[1]


def test_a_token_is_a_share_of_all(ax):
    rows = timed(tokens=64, seconds=[64e-6, 128e-6], seconds_low=64e-6, seconds_high=128e-6)
    distill.tokens_over_length(ax, rows, "title", ["recurrence"])
    assert list(ax.containers[0].lines[0].get_ydata()) == pytest.approx([1, 2])
