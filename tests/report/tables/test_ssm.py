import pandas as pd

from lib.experiments import base
from lib.report import frames
from lib.report.tables import ssm

PARTS = {"factors": (), "lengths": ("length",)}


def lines(markdown):
    return [line for line in markdown.data.splitlines() if line.startswith("|")]


def test_speedups_turn_ratios_and_their_quartiles_round(record):
    rows = frames.where(base.frame([record], PARTS), part="lengths", length=32)
    header, _, first, two = lines(ssm.speedups(frames.ratios(rows), "baseline", "caption"))
    assert "baseline / this, lengths" in header
    assert "1.0 (1.0 – 1.0)" in first
    assert "2.0 (2.0 – 2.0)" in two


def test_what_was_not_timed_in_a_part_has_dashes_there(record):
    rows = frames.ratios(frames.where(base.frame([record], PARTS), part="lengths", length=32))
    rows = pd.concat([rows, rows.iloc[:1].assign(part="training")])
    *_, first, two = lines(ssm.speedups(rows, "baseline", "caption"))
    assert first.count("1.0 (1.0 – 1.0)") == 2
    assert [cell.strip() for cell in two.strip("|").split("|")][-2:] == ["–", "–"]


def test_latencies_stand_in_milliseconds_by_length(record):
    header, _, first, _ = lines(ssm.latencies(base.frame([record], PARTS), "caption"))
    assert [cell.strip() for cell in header.strip("|").split("|")] == ["variant", "8", "16", "32"]
    assert [cell.strip() for cell in first.strip("|").split("|")][1:] == ["1,000.00", "2,000.00", "4,000.00"]
