"""Figures of token reduction, on images and outcomes that one can check by hand."""

import matplotlib.pyplot as plt
import numpy as np
import outcomes
import pandas as pd
import pytest

from lib.report.figures import clip as figures
from lib.report.frames import clip, original


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_gone_patches_are_pale_and_merged_ones_of_one_colour():
    image = np.arange(4 * 4 * 3).reshape(4, 4, 3) / 48
    _, ax = plt.subplots()
    figures.kept(ax, image, np.array([1, 1, -1, 2]), "answer")
    shown = ax.images[0].get_array()
    top = image[:2].mean((0, 1))
    np.testing.assert_allclose(shown[:2], np.broadcast_to(top, (2, 4, 3)))
    np.testing.assert_allclose(shown[2:, :2], 0.2 * image[2:, :2] + 0.8)
    np.testing.assert_allclose(shown[2:, 2:], image[2:, 2:])
    # Between the two that stay, and between each and what is gone.
    assert sum(len(lines.get_segments()) for lines in ax.collections) == 3


def test_every_variant_is_a_line_with_its_label():
    laid = clip.summary(outcomes.frame()).dropna(subset="target").assign(latency_ratio=0.5)
    _, ax = plt.subplots()
    figures.retained_over(ax, laid, "latency_ratio", "latency", "scenes")
    assert {line.get_label() for line in ax.lines} >= {"ours", "other"}


def test_the_share_of_attention_stands_in_the_title():
    parts = pd.DataFrame(
        [{"side": side, "part": part, "flops": side} for side in (32, 64) for part in ("attention", "MLP")]
    )
    _, ax = plt.subplots()
    figures.operations_by_part(ax, parts)
    assert "Attention between tokens: 50 % at 64 pixels" in ax.get_title()


def test_latency_by_keep_takes_the_original_table():
    _, ax = plt.subplots()
    figures.latency_by_keep(ax, original.clip().assign(flops_ratio=np.nan))
    assert original.MACHINE in ax.get_legend_handles_labels()[1]


def test_memory_by_keep_is_the_original_tables():
    _, ax = plt.subplots()
    table = original.clip()
    figures.memory_by_keep(ax, table)
    (path,) = [one for one in ax.lines if len(one.get_xdata()) == len(table)]
    by = dict(zip(path.get_xdata(), path.get_ydata(), strict=True))
    assert by[0.5] == pytest.approx(380 / 420)


def test_a_gallery_has_a_row_per_method_and_one_of_images():
    rows = {"ours": (np.ones((2, 4), int), ["a", "b"])}
    assert len(figures.gallery(np.zeros((2, 4, 4, 3)), ["a", "b"], rows).axes) == 4
