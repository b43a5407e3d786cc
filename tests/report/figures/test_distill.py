import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lib.report import distillation
from lib.report.figures import MARKERS


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


@pytest.fixture
def frame():
    rows = [
        {"variant": variant, "order": order, "error": 1 / order}
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
    rows = frame.rename(columns={"error": "difference"})
    rows = rows.assign(difference_low=rows["difference"] / 2, difference_high=2 * rows["difference"])
    distillation.accuracy_over_order(ax, rows, "title")
    assert list(ax.containers[0].lines[0].get_ydata()) == [50, 25]


def test_a_kernel_stands_beside_what_replaces_it(ax):
    distillation.kernels(ax, np.array([1.0, 0.5]), np.array([1.0, 0.4]), "channel 3")
    assert [list(line.get_ydata()) for line in ax.lines] == [[1.0, 0.5], [1.0, 0.4]]
    assert ax.get_title() == "channel 3"


def test_methods_have_names_and_an_order():
    rows = pd.DataFrame({"variant": ["scratch", "original", "truncated_svd", "modal"]})
    assert list(distillation.named(rows)["variant"]) == ["modal", "truncated SVD", "small from the start"]


def timed(**columns):
    return pd.DataFrame({"variant": "recurrence", "length": [1024, 2048], **columns})


def test_a_latency_stands_over_the_length(ax):
    rows = timed(latency_ratio=[0.5, 0.25], latency_ratio_low=[0.4, 0.2], latency_ratio_high=[0.6, 0.3])
    distillation.latency_over_length(ax, rows, "title", ["full kernel", "recurrence"])
    assert list(ax.containers[0].lines[0].get_ydata()) == [0.5, 0.25]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1,024", "2,048"]
    assert ax.containers[0].lines[0].get_marker() == MARKERS[1]


def test_a_token_is_a_share_of_all(ax):
    rows = timed(tokens=64, seconds=[64e-6, 128e-6], seconds_low=64e-6, seconds_high=128e-6)
    distillation.tokens_over_length(ax, rows, "title", ["recurrence"])
    assert list(ax.containers[0].lines[0].get_ydata()) == pytest.approx([1, 2])


def test_a_table_has_a_column_per_order_and_bold_where_kept():
    rows = pd.DataFrame(
        {
            "task": "digits",
            "variant": "modal",
            "order": [16, 2],
            "difference": [-0.001, -0.1],
            "difference_high": [0.001, 0.0],
            "verdict": ["kept", "lost on average"],
        }
    )
    lines = distillation.accuracy_table(rows, "Table 1. Accuracy").data.splitlines()
    assert lines[-1].split("|")[3:5] == [" −10.0 ± 10.0 ", " **−0.1 ± 0.2** "]
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == ["task", "variant", "2", "16"]


def test_a_speed_table_leaves_open_what_does_not_stream():
    sequence = timed(latency_ratio=[1.0, 2.0], latency_ratio_low=1.0, latency_ratio_high=4.0, seconds=0.5, held=9999)
    sequence["variant"] = ["full kernel", "low rank, r = 4"]
    tokens = timed(latency_ratio=[1.0, 0.25], latency_ratio_low=0.2, latency_ratio_high=0.5, seconds=64e-6, tokens=64)
    tokens["variant"] = ["full kernel", "recurrence"]
    lines = distillation.speed_table(sequence, tokens, "Table 1. Speed").data.splitlines()
    full, low = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines[-2:])
    assert full == ["full kernel", "9,999", "500.00", "1.00 (1.00 – 4.00)", "1.0", "1.0 (2.0 – 5.0)"]
    assert low == ["low rank, r = 4", "9,999", "500.00", "2.00 (1.00 – 4.00)", "–", "–"]
