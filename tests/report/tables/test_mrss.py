import pandas as pd

from lib.report import accuracy, statistics
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


def judged(**tasks):
    """Two variants and the baseline on tasks, from their accuracies by seed."""
    rows = [
        {"machine": "m", "task": task, "variant": name, "budget": budget, "seed": seed, "accuracy": share}
        for task, variants in tasks.items()
        for (name, budget), shares in variants.items()
        for seed, share in enumerate(shares)
    ]
    return accuracy.judged(accuracy.compared(pd.DataFrame(rows)))


def test_differences_stand_in_points_and_what_is_kept_in_bold():
    base, low, more, dual = ([0.9, 0.9], [0.85, 0.87], [0.89, 0.91], [0.92, 0.9])
    variants = {
        ("baseline", "steps"): base,
        ("dual", "steps"): dual,
        ("low", "steps"): low,
        ("low", "operations"): more,
    }
    text = mrss.accuracy_table(judged(t=variants), "caption")
    header, _, steps, operations = lines(text)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (header, steps, operations)]
    assert cells == [
        ["task, baseline", "equal", "dual", "low"],
        ["t, 90.0 %", "steps", "**+1.0 ± 12.7**", "−4.0 ± 12.7"],
        ["t, 90.0 %", "operations", "–", "**+0.0 ± 12.7**"],
    ]
    assert "95 % intervals: paired t over seeds. Bold" in text.data


def test_seeds_that_solve_a_task_are_counted_with_their_interval():
    solving = {("baseline", "steps"): [1.0] * 5, ("low", "steps"): [1.0, 0.95, 0.1, 0.1, 0.1]}
    text = mrss.accuracy_table(judged(**{"induction heads": solving, "t": solving}), "caption")
    first, second = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines(text)[2:])
    assert first == ["induction heads, solved 5 of 5", "steps", "solved 2 of 5 [5, 85] %"]
    assert second[0] == "t, 100.0 %"
    assert "95 % intervals: Clopper and Pearson (induction heads); paired t over seeds (t)" in text.data


def test_a_task_that_nothing_faster_solves_says_so():
    row = {"kind": "smooth", "verdict": "kept", "difference": 0.0, "difference_low": -0.004, "difference_high": 0.004}
    row |= {"budget": "steps", "how": statistics.CORRECTED}
    found = {"task": "t", "variant": "low", "latency_ratio": 0.3}
    none = {"task": "u", "variant": "baseline", "latency_ratio": 1.0}
    text = mrss.task_table(pd.DataFrame([row | found, row | none]), "caption")
    *_, one, two = lines(text)
    assert "95 % intervals: corrected resampled t; verdicts adjusted by Holm over the tasks of a variant" in text.data
    assert "intervals" not in mrss.task_table(pd.DataFrame([row | none]), "caption").data
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (one, two)]
    assert cells == [
        ["t (smooth)", "low", "steps", "0.30", "+0.0 ± 0.4", "kept"],
        ["u (smooth)", "none is faster", "–", "1.00", "–", "–"],
    ]
