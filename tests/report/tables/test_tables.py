import pandas as pd

from lib import records
from lib.report import frames, tables


def lines(markdown):
    return [line for line in markdown.data.splitlines() if line.startswith("|")]


def test_figures_go_right_and_words_go_left():
    header, rule, row = lines(tables.table({"what": ["a"], "size [MiB]": ["1.5"]}, "Table 1. A"))
    assert header.startswith("| what")
    assert rule.strip("|").split("|")[0].startswith(":-")
    assert rule.strip("|").split("|")[1].endswith("-:")
    assert "1.5" in row


def test_digits_are_kept_as_formatted():
    assert "| 1.50 |" in lines(tables.table({"x": ["1.50"], "y": ["0.10"]}, "Table 1. A"))[2]


def test_the_caption_stands_above():
    assert tables.table({"x": ["1"]}, "Table 1. Which one").data.startswith("**Table 1.** *Which one*\n\n|")


def test_a_profile_shows_units_medians_and_failures(record):
    frame = frames.ratios(frames.gather([record], "factors"))
    header, _, base, _, two, failed = lines(tables.profile_table(frame, "caption"))
    assert "latency [ms]" in header
    assert "2,000.0" in base
    assert "4,000.0" in two
    assert "3,000.0 – 5,000.0" in two
    assert "out of memory" in failed


def test_machines_stand_side_by_side_and_gaps_show(record):
    frame = frames.ratios(frames.gather([record], "factors"))
    other = frame[frame["variant"] != "r = 2"].assign(machine="elsewhere")
    rows = lines(tables.compare(frames.pd.concat([frame, other]), "latency_ratio", "caption"))
    assert rows[0].rstrip("| ").endswith("elsewhere")
    assert rows[4].rstrip("| ").endswith("–")
    assert "2.00" in rows[4]


def test_a_caption_tells_machine_day_and_commit(record):
    clean = record.model_copy(update={"commit": "a" * 40, "dirty": False})
    assert tables.provenance(clean, "M") == f"M, {record.recorded_at:%Y-%m-%d}, commit aaaaaaa"
    assert tables.provenance(clean.model_copy(update={"dirty": True}), "M").endswith("aaaaaaa with changes")
    assert tables.provenance(clean.model_copy(update={"commit": None}), "M").endswith("unknown commit")


def test_any_column_may_go_across(record):
    frame = frames.gather([record], "lengths")
    header, _, base, _ = lines(tables.compare(frame, "seconds", "caption", "{:.0f}", "length", 1e3))
    assert [cell.strip() for cell in header.strip("|").split("|")] == ["variant", "8", "16", "32"]
    assert [cell.strip() for cell in base.strip("|").split("|")] == ["baseline", "1000", "2000", "4000"]


def test_models_stand_with_both_passes(record):
    forward = frames.ratios(frames.gather([record], "factors")).assign(parameters=2_500_000)
    training = forward.assign(latency_ratio=7.0)
    header, _, base, _, two, failed = lines(tables.models_table(forward, training, "caption"))
    assert [cell.strip() for cell in header.strip("|").split("|")] == [
        "variant", "weights", "operations", "forward", "training", "memory",
    ]  # fmt: skip
    assert "2.50 M" in base
    assert "2.00 (2.00 – 2.00)" in two
    assert "7.00 (2.00 – 2.00)" in two
    assert "out of memory" in failed


def test_differences_stand_in_points_and_what_is_kept_in_bold():
    base = {
        "task": "t",
        "variant": "baseline",
        "budget": "steps",
        "accuracy": 0.9,
        "difference": 0.0,
        "verdict": "kept",
    }
    low = base | {"variant": "low", "difference": -0.021, "verdict": "lost"}
    more = base | {"variant": "low", "budget": "operations", "verdict": "kept on average"}
    dual = base | {"variant": "dual", "difference": 0.01}
    frame = frames.pd.DataFrame([base, dual, low, more]).assign(difference_low=-0.03, difference_high=0.01)
    header, _, steps, operations = lines(tables.accuracy_table(frame, "caption"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (header, steps, operations)]
    assert cells == [
        ["task, baseline", "equal", "dual", "low"],
        ["t, 90.0 %", "steps", "**+1.0 ± 0.0**", "−2.1 ± 3.1"],
        ["t, 90.0 %", "operations", "–", "**+0.0 ± 1.0**"],
    ]


def test_a_task_that_nothing_faster_solves_says_so():
    row = {"kind": "smooth", "verdict": "kept", "difference": 0.0, "difference_low": -0.004, "difference_high": 0.004}
    row["budget"] = "steps"
    found = {"task": "t", "variant": "low", "latency_ratio": 0.3}
    none = {"task": "u", "variant": "baseline", "latency_ratio": 1.0}
    *_, one, two = lines(tables.task_table(frames.pd.DataFrame([row | found, row | none]), "caption"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (one, two)]
    assert cells == [
        ["t (smooth)", "low", "steps", "0.30", "+0.0 ± 0.4", "kept"],
        ["u (smooth)", "none is faster", "–", "1.00", "–", "–"],
    ]


def test_a_source_is_named_once(record):
    assert tables.sources([record, record]) == tables.provenance(record, records.machine_title(record))


def test_ratios_far_below_one_keep_two_figures():
    rows = pd.DataFrame({"machine": ["M"], "what": ["a / b"], "ratio": [0.0155], "low": [0.001], "high": [1.5]})
    assert lines(tables.across_machines(rows, "Table 1. All"))[2].count("0.016 (0.001 – 1.50)") == 1
