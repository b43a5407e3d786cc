import pandas as pd

from lib.report.tables import mrss


def lines(markdown):
    return [line for line in markdown.data.splitlines() if line.startswith("|")]


def test_models_stand_with_both_passes(factors):
    forward = factors.assign(parameters=2_500_000)
    training = forward.assign(latency_ratio=7.0)
    header, _, base, _, two, failed = lines(mrss.models_table(forward, training, "caption"))
    assert [cell.strip() for cell in header.strip("|").split("|")] == [
        "variant", "parameters", "operations", "forward", "training", "memory",
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
    frame = pd.DataFrame([base, dual, low, more]).assign(difference_low=-0.03, difference_high=0.01)
    header, _, steps, operations = lines(mrss.accuracy_table(frame, "caption"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (header, steps, operations)]
    assert cells == [
        ["task, baseline", "equal", "dual", "low"],
        ["t, 90.0 %", "steps", "**+1.0 ± 0.0**", "−2.1 ± 3.1"],
        ["t, 90.0 %", "compute", "–", "**+0.0 ± 1.0**"],
    ]


def test_a_task_that_nothing_faster_solves_says_so():
    row = {"kind": "smooth", "verdict": "kept", "difference": 0.0, "difference_low": -0.004, "difference_high": 0.004}
    row["budget"] = "steps"
    found = {"task": "t", "variant": "low", "latency_ratio": 0.3}
    none = {"task": "u", "variant": "baseline", "latency_ratio": 1.0}
    *_, one, two = lines(mrss.task_table(pd.DataFrame([row | found, row | none]), "caption"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (one, two)]
    assert cells == [
        ["t (smooth)", "low", "steps", "0.30", "+0.0 ± 0.4", "kept"],
        ["u (smooth)", "none is faster", "–", "1.00", "–", "–"],
    ]
