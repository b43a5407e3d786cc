import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lib.report import distillation


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


@pytest.fixture
def frame():
    rows = [
        {"variant": variant, "order": order, "error": 1 / order, "error_low": 0.5 / order, "error_high": 2 / order}
        for variant in ("modal", "truncated SVD")
        for order in (4, 2)
    ]
    return pd.DataFrame(rows)


def test_spectra_stand_over_their_largest_value(ax):
    rows = pd.DataFrame({"bank": "initial", "number": [1, 2], "value": [4.0, 1.0]})
    distillation.spectra(ax, rows, "title")
    assert list(ax.lines[0].get_ydata()) == [1, 0.25]
    assert ax.get_yscale() == "log"


def test_every_method_has_its_line_from_low_to_high_order(ax, frame):
    distillation.error_over_order(ax, frame, "title")
    assert [list(line.lines[0].get_xdata()) for line in ax.containers] == [[2, 4], [2, 4]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["modal", "truncated SVD"]
    assert len({line.lines[0].get_marker() for line in ax.containers}) == 2


def test_accuracies_are_shown_in_points(ax, frame):
    rows = frame.rename(columns=lambda name: name.replace("error", "difference"))
    distillation.accuracy_over_order(ax, rows, "title")
    assert list(ax.containers[0].lines[0].get_ydata()) == [50, 25]


def test_a_kernel_stands_beside_what_replaces_it(ax):
    distillation.kernels(ax, np.array([1.0, 0.5]), np.array([1.0, 0.4]), "channel 3")
    assert [list(line.get_ydata()) for line in ax.lines] == [[1.0, 0.5], [1.0, 0.4]]
    assert ax.get_title() == "channel 3"
