"""Tables of the fair comparison say what its records do, and a verdict that follows them."""

import pytest
from compared_records import BASELINE, HYBRID, LOW, USUAL, compared, references, table
from rehearsal import alone

from lib.experiments import mrss_compared
from lib.report.tables import mrss_compared as tables

PATCHES = "patches, r = 4"


def cells(markdown):
    lines = [line for line in markdown.data.splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(header, row, strict=True)) for row in rows]


@pytest.fixture
def found(tmp_path):
    controlled = USUAL | {PATCHES: (0.2, {"steps": 1.0, "time": 0.8})}
    right = {PATCHES: [0.9, 0.91, 0.92], HYBRID: [0.5, 0.51, 0.52], LOW: [0.6, 0.61, 0.62]}
    made = [compared(), compared("characters"), compared("plaid", controlled, right=right)]
    solving = {BASELINE: [1.0] * 3, HYBRID: [1.0, 0.2, 1.0]}
    return alone(tmp_path, *made, compared("mqar", right=solving), references())


def test_a_task_has_one_row_with_costs_and_quality_of_one_model(found):
    tagging, text, recall, whole = cells(tables.main_table(found, "Table 1. Caption"))
    assert (tagging["task"], tagging["baseline"]) == ("tagging", "1.000 nats")
    assert tagging["references"] == "1-NN 50.0 %; CNN 1.500 nats"
    assert (tagging["low-rate form"], tagging["training time"]) == (LOW, "0.50 (0.50 – 0.50)")
    assert (tagging["at equal steps"], tagging["in equal time"]) == ("+0.5 ± 0.0", "−10.0 ± 0.0")
    assert tagging["verdict"] == "met"
    assert text["baseline"] == "1.443 bits per character"
    assert "1.386 bits per character (compresses the whole" in text["published"]
    assert recall["low-rate form"] == HYBRID
    assert recall["at equal steps"] == "solved 2 of 3 (−26.7)"
    assert recall["verdict"] == "missed: accuracy at equal steps"
    assert whole["verdict"] == f"{PATCHES} beats every form trained there"
    assert whole["low-rate form"] == LOW


def test_every_variant_has_its_settings(found):
    rows = cells(tables.every_variant(found, "Table 2. Caption"))
    low = next(row for row in rows if (row["task"], row["variant"], row["equal"]) == ("tagging", LOW, "time"))
    assert (low["steps"], low["rate"], low["decay"], low["parameters"]) == ("80", "0.004", "0.01", "1,000")
    assert (low["test"], low["change"], low["verdict"]) == ("0.900 nats", "−10.0 ± 0.0", "kept")


def test_what_was_tried_is_shown_and_what_was_chosen(found):
    row = next(one for one in cells(tables.tried_table(found, "Table 3. Caption")) if one["variant"] == LOW)
    assert row["rate 0.004, decay 0.01"] == "**1.000**"
    assert row["rate 0.002, decay 0.01"] == "1.002"


@pytest.mark.parametrize(
    ("low", "verdict"),
    [
        ({"steps": 1.05, "time": 0.9}, "missed: loss at equal steps"),
        ({"steps": 1.0, "time": None}, "missed: loss in equal time"),
    ],
)
def test_what_is_missed_is_named(low, verdict):
    made = compared(variants=USUAL | {LOW: (0.5, low)})
    assert tables.told(table(made), mrss_compared.outcomes([made])) == (LOW, verdict)


def test_a_training_that_diverged_is_named(tmp_path):
    made = compared(variants=USUAL | {LOW: (0.5, {"steps": 1.0, "time": None})})
    rows = cells(tables.every_variant(alone(tmp_path, made), "Table 2. Caption"))
    lost = next(row for row in rows if (row["variant"], row["equal"]) == (LOW, "time"))
    assert (lost["test"], lost["change"], lost["verdict"]) == ("–", "–", "diverged")


def test_without_a_form_nothing_is_told():
    made = compared(variants={BASELINE: (1.0, {"steps": 1.0}), "dual, r = 4": (0.9, {"steps": 1.0, "time": 1.0})})
    assert tables.told(table(made), mrss_compared.outcomes([made])) == (None, "–")
