"""Accuracies over seeds and checkpoints: which interval is taken, differences seed by seed, verdicts."""

import numpy as np
import pandas as pd
import pytest
import torch

from lib.names import SEQUENCES, Sequences
from lib.report import accuracy, statistics
from lib.report.frames import Missing
from lib.tasks.data.sequences import TASKS


def frame(**accuracies):
    rows = [
        {"machine": "m", "task": "t", "variant": variant, "budget": budget, "seed": seed, "accuracy": share}
        for variant, (budget, shares) in accuracies.items()
        for seed, share in shares.items()
    ]
    return pd.DataFrame(rows)


def test_differences_are_taken_seed_by_seed():
    found = accuracy.compared(frame(baseline=("steps", {0: 0.5, 1: 0.9}), low=("steps", {1: 0.91, 0: 0.51}))).set_index(
        "variant"
    )
    assert found.loc["low", "difference"] == pytest.approx(0.01)
    assert found.loc["low", "difference_high"] == pytest.approx(0.01)
    assert found.loc["low", "accuracy"] == pytest.approx(0.71)
    assert found.loc["baseline", "difference"] == 0
    assert found.loc["low", "seeds"] == 2


def test_a_kind_may_be_of_any_columns():
    rows = frame(original=("-", {0: 0.5, 1: 0.9}), modal=("-", {0: 0.4, 1: 0.8})).assign(order=[64, 64, 8, 8])
    found = accuracy.compared(rows, "original", ("variant", "order")).set_index("order")
    assert found.loc[8, "difference"] == pytest.approx(-0.1)
    assert "budget" not in found


def test_a_seed_that_the_baseline_has_twice_is_refused():
    rows = frame(baseline=("steps", {0: 0.5, 1: 0.9}))
    with pytest.raises(ValueError, match=r"t: baseline has a seed twice among \[0, 0\]"):
        accuracy.compared(rows.assign(seed=0))


def test_without_rows_nothing_is_judged():
    with pytest.raises(Missing, match="no comparison to judge"):
        accuracy.judged(pd.DataFrame())


def test_a_seed_that_the_baseline_lacks_is_named():
    with pytest.raises(Missing, match="t: low has seed 2, baseline has not"):
        accuracy.compared(frame(baseline=("steps", {0: 0.5, 1: 0.9}), low=("steps", {1: 0.9, 2: 0.5})))


@pytest.mark.parametrize(
    ("low", "middle", "high", "verdict"),
    [
        (-0.009, 0.0, 0.01, "kept"),
        (-0.02, -0.009, 0.01, "kept on average"),
        (-0.04, -0.02, 0.0, "lost on average"),
        (-0.04, -0.03, -0.011, "lost"),
    ],
)
def test_a_variant_is_judged_by_its_mean_and_its_interval(low, middle, high, verdict):
    rows = pd.DataFrame([{"difference_low": low, "difference": middle, "difference_high": high}])
    assert list(accuracy.judged(rows)["verdict"]) == [verdict]


def of_task(task, **shares):
    """Accuracies of variants by seed, on a task by the label that readers see."""
    found = {variant: ("steps", dict(enumerate(values))) for variant, values in shares.items()}
    return frame(**found).assign(task=task)


def shown(rows, variant="low"):
    return rows.set_index("variant").loc[variant]


def test_sizes_of_a_split_are_those_of_the_data():
    for name, row in SEQUENCES.items():
        task = TASKS[name](torch.Generator().manual_seed(0))
        if task.endless:
            assert row.split is None, name
        else:
            assert row.split == (len(task.test[0]), len(task.train[0])), name


@pytest.mark.parametrize(("task", "tested", "trained"), [("digits", 449, 1348), ("PLAID", 534, 535)])
def test_seeds_that_split_one_collection_have_the_corrected_interval(task, tested, trained):
    base, low = [0.5, 0.6, 0.7, 0.6, 0.55], [0.45, 0.62, 0.63, 0.55, 0.56]
    row = shown(accuracy.compared(of_task(task, baseline=base, low=low)))
    expected = statistics.corrected_t(np.subtract(low, base), tested, trained)
    assert (row["difference_low"], row["difference_high"]) == pytest.approx((expected.low, expected.high))
    assert row["how"] == statistics.CORRECTED
    assert row["degrees"] == 4


def test_seeds_whose_data_are_drawn_anew_have_students_interval():
    base, low = [0.5, 0.6, 0.7], [0.45, 0.62, 0.63]
    row = shown(accuracy.compared(of_task("selective copying", baseline=base, low=low)))
    expected = statistics.paired_t(np.subtract(low, base))
    assert (row["difference_low"], row["difference_high"]) == pytest.approx((expected.low, expected.high))
    assert row["how"] == statistics.PAIRED


def test_seeds_that_share_a_checkpoint_count_once():
    rows = of_task("scenes", baseline=[0.5] * 5, low=[0.4, 0.5, 0.6, 0.6, 0.5])
    found = shown(accuracy.compared(rows.assign(checkpoint=rows["seed"] % 3)))
    expected = statistics.paired_t([0.0, 0.0, 0.1])  # seeds 0 and 3, 1 and 4, and 2
    assert (found["difference"], found["difference_high"]) == pytest.approx((expected.mean, expected.high))
    assert found["how"] == statistics.CLUSTERED
    assert found["degrees"] == 2


def answered(apart=0.0, images=400, checkpoints=3):
    """Answers to the same images: of a baseline, and of a variant that changes one in ten, worse by `apart`."""
    draw = np.random.default_rng(0)
    base = np.tile(draw.random(images) < 0.7, (checkpoints, 1))
    low = np.where(draw.random(images) < 0.1, draw.random(images) < 0.7 - apart, base)
    rows = of_task("CIFAR-10", baseline=base.mean(1), low=low.mean(1))
    return rows.assign(hits=[*base, *low])


def test_the_same_images_are_resampled_with_the_checkpoints():
    rows = answered()
    found = shown(accuracy.compared(rows))
    assert found["how"] == statistics.WIDER
    # All checkpoints answer alike, so that only the images vary: Student's over checkpoints would have no width.
    first, second = (rows.loc[rows["variant"] == name, "hits"].iloc[0].astype(float) for name in ("low", "baseline"))
    error = (first - second).std(ddof=1) / np.sqrt(400)
    assert found["difference_high"] - found["difference_low"] == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert shown(accuracy.compared(rows), "baseline")["difference_high"] == 0


def test_checkpoints_that_differ_are_not_narrowed_by_many_images():
    rows = answered()
    rows["accuracy"] += [0, 0, 0, -0.1, 0.0, 0.1]  # as if drawn anew: a mean of several patterns
    found = shown(accuracy.compared(rows))
    differences = rows["accuracy"].to_numpy()[3:] - rows["accuracy"].to_numpy()[:3]
    expected = statistics.paired_t(differences)
    assert (found["difference_low"], found["difference_high"]) == pytest.approx((expected.low, expected.high))


def test_one_checkpoint_has_the_interval_of_its_images():
    row = shown(accuracy.compared(answered(checkpoints=1)))
    assert row["how"] == statistics.IMAGES
    assert row["difference_low"] < row["difference"] < row["difference_high"]


def test_an_accuracy_of_zero_has_no_ratio_in_a_resample():
    hits = np.array([[True, False, False], [True, False, False]])
    rows = pd.DataFrame({"hits": list(hits)})
    found = accuracy.of_images(np.divide, [1.0, 1.0], rows, rows)
    assert (found.mean, found.low, found.high) == (1, 1, 1)


def test_seeds_that_solve_a_task_or_do_not_are_counted():
    rows = of_task("induction heads", baseline=[1.0] * 5, low=[1.0, 0.1, 0.95, 0.5, 0.1])
    found = shown(accuracy.compared(rows))
    assert (found["solved"], found["of"], found["solved_by_baseline"]) == (2, 5, 5)
    assert found["difference"] == pytest.approx(-0.6)
    assert found["how"] == statistics.SOLVED
    share = statistics.solved(2, 5)
    assert (found["solved_low"], found["solved_high"]) == (share.low, share.high)
    assert np.isnan(found["accuracy_low"])
    assert found["accuracy"] == pytest.approx(0.53)
    assert shown(accuracy.compared(rows), "baseline")["difference_low"] == 0


def test_a_task_of_shares_is_not_solved_or_unsolved():
    assert list(accuracy.solves(of_task("induction heads", low=[0.9, 0.91]))) == [False, True]
    with pytest.raises(Missing, match="digits: there is no accuracy above which it is solved"):
        accuracy.solves(of_task("digits", low=[0.9, 0.91]))


@pytest.mark.parametrize(
    ("base", "count", "verdict"),
    [(5, 5, "kept"), (4, 5, "kept"), (5, 4, "undecided"), (5, 2, "undecided"), (5, 0, "lost"), (0, 0, "kept")],
)
def test_a_task_that_seeds_solve_is_judged_by_how_many(base, count, verdict):
    shares = {"baseline": [1.0] * base + [0.1] * (5 - base), "low": [1.0] * count + [0.1] * (5 - count)}
    rows = accuracy.judged(accuracy.compared(of_task("induction heads", **shares)))
    assert shown(rows)["verdict"] == verdict


def losing(*tasks):
    """A variant on tasks with new data, each with a p-value of 0.015 of a loss of more than a point."""
    low = [0.55, 0.7, 0.65, 0.87, 0.78]
    rows = [of_task(task, baseline=[0.9] * 5, low=low) for task in tasks]
    return accuracy.judged(accuracy.compared(pd.concat(rows)))


def test_a_variant_is_judged_on_all_tasks_together():
    # Sure on its own; of two tests the smaller p-value counts twice.
    assert shown(losing("a"))["verdict"] == "lost"
    two = losing("a", "b")
    assert list(two.loc[two["variant"] == "low", "verdict"]) == ["lost on average"] * 2


def test_other_variants_are_another_decision():
    rows = losing("a").drop(columns="verdict")
    low = rows[rows["variant"] == "low"]
    judged = accuracy.judged(pd.concat([rows, low.assign(variant="other"), low.assign(budget="operations")]))
    assert list(judged["verdict"]) == ["kept", "lost", "lost", "lost"]


def test_a_count_that_needs_no_test_leaves_the_family():
    low = [0.912, 0.9, 0.891, 0.9, 0.9]
    tasks = [of_task("a", baseline=[0.9] * 5, low=low), of_task("induction heads", baseline=[1.0] * 5, low=[1.0] * 5)]
    both = accuracy.judged(accuracy.compared(pd.concat(tasks)))
    alone = accuracy.judged(accuracy.compared(tasks[0]))
    assert list(alone["verdict"]) == ["kept", "kept"]
    assert set(both["verdict"]) == {"kept"}


def test_a_caption_names_the_statistic_by_task():
    rows = pd.DataFrame({"task": ["a", "a", "b", "c"], "how": ["t", "t", "exact", "t"]})
    assert accuracy.explained(rows) == "95 % intervals: t (a and c); exact (b)"
    assert accuracy.explained(rows[rows["task"] != "b"]) == "95 % intervals: t"


def test_a_new_task_says_itself_how_it_is_compared(monkeypatch):
    rows = of_task("lottery", baseline=[0.5, 0.6, 0.7], low=[0.45, 0.62, 0.63])
    assert shown(accuracy.compared(rows))["how"] == statistics.PAIRED
    monkeypatch.setitem(SEQUENCES, "lottery", Sequences("lottery", "", "", split=(1, 3)))
    assert shown(accuracy.compared(rows))["how"] == statistics.CORRECTED
    monkeypatch.setitem(SEQUENCES, "lottery", Sequences("lottery", "", "", solved=0.9))
    assert shown(accuracy.compared(rows))["how"] == statistics.SOLVED


@pytest.mark.parametrize(("verdict", "found"), [("kept on average", "low"), ("lost on average", "baseline")])
def test_the_fastest_of_those_that_keep_the_accuracy_is_found(verdict, found):
    rows = [("baseline", "kept", 1.0), ("low", verdict, 0.3), ("dual", "kept", 1.4), ("fast", "lost", 0.1)]
    frame = pd.DataFrame(rows, columns=["variant", "verdict", "latency_ratio"]).assign(machine="m", task="t")
    assert list(accuracy.fastest(frame)["variant"]) == [found]


def test_training_time_is_the_sum_over_all_seeds():
    rows = pd.DataFrame({"runs": [np.array([30.0, 60.0]), np.array([30.0])]})
    assert accuracy.training_minutes(rows) == 2
