"""Tables of token reduction, on outcomes that one can check by hand."""

import outcomes
import pandas as pd

from lib.experiments.clip_variants import ADAPTIVE
from lib.names import REDUCTIONS, Method
from lib.report import statistics
from lib.report.frames import clip
from lib.report.tables import clip as tables

MEANS = clip.summary(outcomes.frame())


def test_accuracy_retained_stands_by_share_of_the_operations():
    text = tables.retained(MEANS.dropna(subset="target"), "scenes", "Table 1. Retained").data
    assert "≤ 0.50" in text
    assert "| ours" in text
    assert "87.5 ± " in text or "87.5 [" in text
    assert f"95 % intervals: {statistics.WIDER}" in text


def test_accuracy_retained_stands_by_share_of_the_patches_but_for_budgets_per_image():
    budget = MEANS[MEANS["variant"] == "ours"].assign(variant=ADAPTIVE)
    text = tables.kept(pd.concat([MEANS, budget]), "Table 3. By keep").data
    assert "keep 0.5" in text
    assert ADAPTIVE not in text


def test_answers_and_features_stand_by_task():
    text = tables.fidelity(MEANS, "Table 4. Fidelity").data
    assert "100.0 ± 0.0" in text
    assert f"95 % intervals: {statistics.CLUSTERED}" in text


def test_images_won_and_lost_stand_in_one_cell():
    duels = clip.duels(outcomes.frame(), "ours", "other").assign(against="other")
    text = tables.duels(duels, "Table 2. Duels").data
    assert " 3 : 2 " in text
    assert "| +32.5" in text
    assert "adjusted by Holm" in text


def test_a_new_row_of_the_table_of_methods_is_documented(monkeypatch):
    monkeypatch.setitem(REDUCTIONS, "dummy", Method("dummy label", "lib.nowhere", "nothing goes"))
    assert "| dummy label | `dummy` | nothing goes |" in tables.methods().data


def test_outcomes_of_one_model_stand_side_by_side():
    text = tables.outcomes([outcomes.outcome("ours", "1100", 0.5, 0.49)], "Table 5. Here").data
    assert "| ours" in text
    assert "50 %" in text
