import pandas as pd

from lib import records
from lib.report import tables


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


def test_a_profile_shows_units_medians_and_failures(factors):
    header, _, base, _, two, failed = lines(tables.profile_table(factors, "caption"))
    assert "latency [ms]" in header
    assert "2,000.0" in base
    assert "4,000.0" in two
    assert "3,000.0 – 5,000.0" in two
    assert "out of memory" in failed


def test_machines_stand_side_by_side_and_gaps_show(factors):
    other = factors[factors["variant"] != "r = 2"].assign(machine="elsewhere")
    rows = lines(tables.compare(pd.concat([factors, other]), "latency_ratio", "caption"))
    assert rows[0].rstrip("| ").endswith("elsewhere")
    assert rows[4].rstrip("| ").endswith("–")
    assert "2.00" in rows[4]


def test_a_caption_tells_machine_day_and_commit(record):
    clean = record.model_copy(update={"commit": "a" * 40, "dirty": False})
    assert tables.provenance(clean, "M") == f"M, {record.recorded_at:%Y-%m-%d}, commit aaaaaaa"
    assert tables.provenance(clean.model_copy(update={"dirty": True}), "M").endswith("aaaaaaa with changes")
    assert tables.provenance(clean.model_copy(update={"commit": None}), "M").endswith("unknown commit")


def test_any_column_may_go_across(lengths):
    header, _, base, _ = lines(tables.compare(lengths, "seconds", "caption", "{:.0f}", "length", 1e3))
    assert [cell.strip() for cell in header.strip("|").split("|")] == ["variant", "8", "16", "32"]
    assert [cell.strip() for cell in base.strip("|").split("|")] == ["baseline", "1000", "2000", "4000"]


def test_a_source_is_named_once(record):
    assert tables.sources([record, record]) == tables.provenance(record, records.machine_title(record))


def compared(*rows):
    return pd.DataFrame(rows, columns=["machine", "what", "ratio", "low", "high", "clock"])


def test_ratios_far_below_one_keep_two_figures():
    rows = compared(("M", "a / b", 0.0157, 0.001, 1.5, "wall"))
    assert lines(tables.across_machines(rows, "Table 1. All"))[2].count("0.016 (0.001 – 1.50)") == 1


def test_each_machine_is_compared_by_a_clock_that_is_named():
    rows = compared(
        ("M", "a", 1, 1, 1, "wall"),
        ("M", "b", 1, 1, 1, "wall"),
        ("G", "a", 1, 1, 1, "device events"),
        ("G", "b", 1, 1, 1, "wall, synchronised"),
    )
    header, _, first, second = lines(tables.across_machines(rows, "Table 1. All"))
    clocks = [line.strip("|").split("|")[-1].strip() for line in (header, first, second)]
    assert clocks == ["clock", "wall", "device events; wall, synchronised"]


def test_what_the_host_took_stands_beside_a_gpus_own_time(factors):
    assert "host" not in lines(tables.profile_table(factors, "caption"))[0]
    timed = factors.assign(host_seconds=factors["seconds"] / 4)
    header, _, base, *_ = lines(tables.profile_table(timed, "caption"))
    column = [cell.strip() for cell in header.strip("|").split("|")].index("host [ms]")
    assert base.strip("|").split("|")[column].strip() == "500.0"
