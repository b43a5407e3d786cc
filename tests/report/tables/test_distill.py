"""Tables of distilled kernels: bold where kept, dashes where nothing streams or nothing is known."""

import pandas as pd

from lib.report import statistics
from lib.report.evidence import Evidence
from lib.report.tables import distill


def cells(line):
    return [cell.strip() for cell in line.split("|")[1:-1]]


def timed(**columns):
    return pd.DataFrame({"variant": "recurrence", "length": [1024, 2048], **columns})


def test_a_table_has_a_column_per_order_and_bold_where_kept():
    rows = pd.DataFrame(
        {
            "task": "digits",
            "variant": "modal",
            "order": [16, 2],
            "difference": [-0.001, -0.1],
            "difference_high": [0.001, 0.0],
            "verdict": ["kept", "lost on average"],
            "how": statistics.CORRECTED,
        }
    )
    lines = distill.accuracy_table(rows, "Table 1. Accuracy").data.splitlines()
    assert lines[-1].split("|")[3:5] == [" −10.0 ± 10.0 ", " **−0.1 ± 0.2** "]
    assert cells(lines[2]) == ["task", "variant", "2", "16"]
    assert "95 % intervals: corrected resampled t" in lines[0]


def test_a_speed_table_leaves_open_what_does_not_stream():
    sequence = timed(latency_ratio=[1.0, 2.0], latency_ratio_low=1.0, latency_ratio_high=4.0, seconds=0.5, held=9999)
    sequence = sequence.assign(variant=["full kernel", "low rank, r = 4"], length=[1024, 1024])
    elsewhere = sequence.assign(variant=["full kernel", "recurrence"], length=2048)
    tokens = timed(latency_ratio=[8.0, 1.0], latency_ratio_low=7.0, latency_ratio_high=9.0, seconds=64e-6, tokens=64)
    tokens = tokens.assign(variant=["full kernel", "recurrence"], length=[1024, 1024])
    text = distill.speed_table(pd.concat([sequence, elsewhere]), tokens, 1024, "Table 1. Speed").data
    lines = text.splitlines()
    assert cells(lines[2])[3:] == ["this / full", "token [µs]", "this / all states"]
    assert len(lines) == 6  # caption, blank, header, rule, and a row per variant of that length
    full, low = map(cells, lines[-2:])
    assert full == ["full kernel", "9,999", "500.00", "1.00 (1.00 – 4.00)", "1.0", "8.00 (7.00 – 9.00)"]
    assert low == ["low rank, r = 4", "9,999", "500.00", "2.00 (1.00 – 4.00)", "–", "–"]


def test_a_bank_of_which_the_rank_alone_is_known_has_dashes_for_errors():
    errors = pd.DataFrame(
        [
            {"bank": "S4D", "variant": method, "order": order, "relative_error": 0.5}
            for method in distill.COMPARED
            for order in (2, 4)
        ]
    )
    ranks = pd.DataFrame({"bank": ["S4D", "S5"], "needed": [3, 9], "full": [16, 99]})
    seen = type("Seen", (Evidence,), {"ranks": ranks, "kernel_errors": errors, "few": (4, 2)})
    lines = distill.ranks_table(seen(), "Table 1. Ranks").data.splitlines()
    assert cells(lines[-2]) == ["S4D", "3 of 16", *["0.5"] * 4]
    assert cells(lines[-1]) == ["S5", "9 of 99", *["–"] * 4]


def test_steps_are_shown_in_percent():
    lines = distill.steps_table({"original": 0.982, "distilled": 0.5}, "digits", "Table 1. Steps").data.splitlines()
    assert [cells(line) for line in (lines[2], *lines[-2:])] == [
        ["digits", "accuracy"],
        ["original", "98.2 %"],
        ["distilled", "50.0 %"],
    ]
