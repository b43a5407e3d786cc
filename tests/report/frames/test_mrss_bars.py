"""Every rule of the fair comparison is turned each way by its evidence."""

import pytest
from compared_records import BASELINE, HYBRID, LOW, USUAL, compared, table

from lib.experiments import mrss_compared
from lib.experiments.mrss_fair import RATES
from lib.report.frames import mrss_bars as bars
from lib.report.frames.mrss_bars import MET, MISSED, ON_AVERAGE

PATCHES = "patches, r = 4"


def best(**low):
    """The bar of a record in which the low form differs from the usual one."""
    share, losses = low.get("share", 0.5), {"steps": low.get("steps", 1.005), "time": low.get("time", 0.9)}
    variants = USUAL | {LOW: (share, losses)}
    (bar,) = bars.on_tokens(table(compared(variants=variants)))
    return bar


def test_the_bar_is_met_by_every_part():
    bar = best()
    assert (bar.task, bar.variant, bar.outcome) == ("tagging", LOW, MET)
    assert set(bar.parts) == {"inference time", "training time", "loss at equal steps", "loss in equal time"}


@pytest.mark.parametrize(
    ("low", "missed"),
    [
        ({"share": 0.61}, ["inference time", "training time"]),
        ({"steps": 1.05}, ["loss at equal steps"]),
        ({"time": 1.05}, ["loss in equal time"]),
        ({"time": None}, ["loss in equal time"]),
        ({"steps": None}, ["loss at equal steps"]),
    ],
)
def test_a_part_that_is_missed_misses_the_bar(low, missed):
    bar = best(**low)
    assert (bar.variant, bar.outcome, bar.missed) == (LOW, MISSED, missed)


def test_a_mean_alone_meets_the_bar_on_average():
    made = table(compared(variants={BASELINE: USUAL[BASELINE], LOW: (0.5, {"steps": 1.005, "time": 0.9})}))
    wide = made.assign(relative_low=made["relative"] - 0.5, relative_high=made["relative"] + 0.5)
    words = {"kept": "kept on average"}
    (bar,) = bars.on_tokens(wide.assign(loss_verdict=wide["loss_verdict"].replace(words)))
    assert (bar.outcome, bar.missed) == (ON_AVERAGE, [])


def test_of_two_forms_the_one_that_misses_less_is_told():
    better = USUAL | {LOW: (0.7, {"steps": 1.5, "time": 1.5}), HYBRID: (0.55, {"steps": 1.0, "time": 0.95})}
    (bar,) = bars.on_tokens(table(compared(variants=better)))
    assert (bar.variant, bar.outcome) == (HYBRID, MET)


@pytest.mark.parametrize(
    ("low", "hybrid", "told"),
    [
        ((0.3, 0.9), (0.5, 0.9), LOW),  # as good, and faster
        ((0.3, 0.9), (0.5, 0.8), HYBRID),  # the lower loss, of those whose times the bar allows
        ((0.8, 0.9), (0.7, 0.95), HYBRID),  # the faster, of those whose times it does not
    ],
)
def test_of_two_forms_that_miss_the_same_parts_the_nearer_one_is_told(low, hybrid, told):
    forms = {name: (share, {"steps": 1.5, "time": time}) for name, (share, time) in ((LOW, low), (HYBRID, hybrid))}
    (bar,) = bars.on_tokens(table(compared(variants=USUAL | forms)))
    assert bar.variant == told


def test_other_forms_and_other_tasks_have_no_such_bar():
    variants = {BASELINE: USUAL[BASELINE], "dual, r = 4": (0.5, {"steps": 0.9, "time": 0.8})}
    assert bars.on_tokens(table(compared(variants=variants))) == []
    assert bars.on_tokens(table(compared("plaid"))) == []


@pytest.mark.parametrize(
    ("share", "right", "outcome", "missed"),
    [
        (0.8, [1.0, 1.0, 1.0], MET, []),
        (0.9, [1.0, 1.0, 1.0], MISSED, ["inference time", "training time"]),
        (0.8, [1.0, 1.0, 0.2], MISSED, ["accuracy at equal steps"]),
        (0.8, [0.98, 0.98, 0.98], MISSED, ["accuracy at equal steps"]),
        (0.8, [1.0, 1.0, 0.975], ON_AVERAGE, []),
    ],
)
def test_recall_is_judged_by_points_and_by_seeds_that_solve_it(share, right, outcome, missed):
    variants = {BASELINE: USUAL[BASELINE], HYBRID: (share, {"steps": 1.0, "time": 1.0})}
    found = table(compared("mqar", variants, right={BASELINE: [1.0] * 3, HYBRID: right}))
    (bar,) = bars.on_recall(found)
    assert (bar.task, bar.variant, bar.outcome, bar.missed) == ("MQAR", HYBRID, outcome, missed)


def controlled(patches, low, hybrid=(0.5, 0.51, 0.52)):
    """What a record says in which these accuracies came out with equal time."""
    variants = USUAL | {PATCHES: (0.2, {"steps": 1.0, "time": 0.8})}
    right = {PATCHES: list(patches), LOW: list(low), HYBRID: list(hybrid)}
    made = compared("plaid", variants, right=right)
    return bars.patches_or_forms(table(made), mrss_compared.outcomes([made]))


@pytest.mark.parametrize(
    ("patches", "low", "outcome"),
    [
        ((0.9, 0.91, 0.92), (0.5, 0.51, 0.52), bars.CONTROL),
        ((0.5, 0.51, 0.52), (0.9, 0.91, 0.92), bars.FORM),
        ((0.9, 0.91, 0.92), (0.6, 0.99, 0.9), bars.NOT_SEPARATED),
    ],
)
def test_patches_and_forms_are_told_apart_or_not(patches, low, outcome):
    assert controlled(patches, low) == {"PLAID, its own split": (outcome, PATCHES)}


def test_without_a_control_nothing_is_said():
    made = compared("plaid")
    assert bars.patches_or_forms(table(made), mrss_compared.outcomes([made])) == {}


def test_variants_are_separated_by_adjusted_tests():
    assert bars.separated(table(compared())) == {"tagging": [LOW, HYBRID]}
    nothing = {name: (share, dict.fromkeys(losses, 1.0)) for name, (share, losses) in USUAL.items()}
    assert bars.separated(table(compared(variants=nothing))) == {"tagging": []}
    right = {BASELINE: [0.8, 0.8, 0.8], LOW: [0.7, 0.71, 0.7], HYBRID: [0.5, 0.99, 0.9]}
    assert bars.separated(table(compared("plaid", right=right))) == {"PLAID, its own split": [LOW]}


def test_a_baseline_that_still_falls_is_named():
    assert bars.still_falling(table(compared(falls=0.02))) == ["tagging"]
    assert bars.still_falling(table(compared(falls=0.005))) == []
    assert bars.still_falling(table(compared(falls=-0.1))) == []


def test_rates_at_an_edge_are_named():
    assert bars.at_the_edge(table(compared())) == []
    assert bars.at_the_edge(table(compared(rate=RATES[0])))[1:] == [f"{LOW} on tagging", f"{HYBRID} on tagging"]


@pytest.mark.parametrize(
    ("variant", "control", "low"),
    [
        ("baseline", False, False),
        ("low, r = 8", False, True),
        ("hybrid, r = 8", False, True),
        ("hybrid 1 + 3, r = 4", False, True),
        ("patches, r = 4", True, False),
        ("strided, r = 4", True, False),
        ("pooled, r = 4", True, False),
        ("4 x 4 patches", True, False),
        ("dual as wide, r = 4", False, False),
        ("hierarchy", False, False),
    ],
)
def test_controls_and_low_forms_are_known_by_their_labels(variant, control, low):
    assert (bars.is_control(variant), bars.is_low(variant)) == (control, low)
