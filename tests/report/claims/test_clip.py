"""Verdicts on token pruning follow the numbers: each is made to come out every way."""

import pandas as pd
import pytest

from lib.report import accuracy, claims_vtp, pruning
from lib.report.claims import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED


@pytest.fixture
def seed():
    return pruning.seed_vtp()


def compared(variant, **differences):
    """Of one variant: a task's differences by keep, as low and high."""
    rows = [
        {"task": task, "variant": variant, "keep": keep, "seeds": 5, "difference": (low + high) / 2}
        | {"difference_low": low, "difference_high": high}
        for task, by_keep in differences.items()
        for keep, (low, high) in by_keep.items()
    ]
    return pd.DataFrame(rows)


def around(difference):
    return difference - 0.004, difference + 0.004


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ({448: 784, 128: 64, 224: 196}, CONTRADICTED),
        ({224: 196, 800: 2500}, REPRODUCED),
        ({224: 196, 768: 2304}, REPRODUCED),  # 8 % fewer
        ({224: 196, 752: 2209}, CONTRADICTED),  # 12 % fewer
    ],
)
def test_some_image_must_make_about_as_many_patches(counts, verdict):
    assert claims_vtp.tokens_per_image(counts).verdict == verdict


def test_patches_are_told_of_all_sides_in_order():
    evidence = claims_vtp.tokens_per_image({800: 2500, 128: 64, 224: 196}).evidence
    assert "64 at 128, 196 at 224 and 2,500 at 800" in evidence


def parts(**attention):
    """The other three parts take 30 operations together, the MLP most of them."""
    rows = [
        {"side": int(side[1:]), "part": part, "flops": flops}
        for side, taken in attention.items()
        for part, flops in {"patches": 2, "projections": 8, "attention": taken, "MLP": 20}.items()
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("attention", "verdict"),
    [
        ({"s128": 30, "s224": 40, "s448": 90}, REPRODUCED),
        ({"s128": 1, "s224": 10, "s448": 90}, CORRECTED),
        ({"s128": 1, "s224": 10, "s448": 19}, CONTRADICTED),
    ],
)
def test_a_bottleneck_is_the_largest_part(attention, verdict):
    assert claims_vtp.attention_is_the_bottleneck(parts(**attention)).verdict == verdict


def test_shares_of_attention_are_told_at_three_sides():
    found = claims_vtp.attention_is_the_bottleneck(parts(s448=90, s128=1, s336=15, s224=10))
    assert "3 % at 128, 25 % at 224 and 75 % at 448" in found.evidence


@pytest.mark.parametrize(
    ("intervals", "verdict"),
    [
        ([(1.6, 1.9), (1.8, 2.1)], REPRODUCED),
        ([(0.9, 1.1), (0.8, 1.4)], CONTRADICTED),
        ([(0.9, 1.1), (1.6, 1.9)], UNSUPPORTED),
        ([(1.4, 1.6)], UNSUPPORTED),
    ],
)
def test_an_exponent_is_judged_by_its_interval(intervals, verdict):
    rows = [
        {"machine": f"M{number}", "slope": (low + high) / 2, "low": low, "high": high}
        for number, (low, high) in enumerate(intervals)
    ]
    found = claims_vtp.latency_is_quadratic(pd.DataFrame(rows))
    low, high = intervals[0]
    assert found.verdict == verdict
    assert f"{(low + high) / 2:.2f} [{low:.2f}, {high:.2f}] on M0" in found.evidence


def recorded(*quartiles):
    rows = [
        {"machine": f"M{number}", "keep": keep, "latency_ratio": ratio, "latency_ratio_low": low}
        | {"latency_ratio_high": high, "flops_ratio": 0.51}
        for number, (low, ratio, high) in enumerate(quartiles)
        for keep, low, ratio, high in ((1.0, 1.0, 1.0, 1.0), (0.5, low, ratio, high))
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("quartiles", "verdict"),
    [
        ([(0.50, 0.52, 0.54), (0.54, 0.56, 0.60)], REPRODUCED),
        ([(0.60, 0.62, 0.64), (0.57, 0.58, 0.60)], CONTRADICTED),
        ([(0.50, 0.52, 0.54), (0.60, 0.62, 0.64)], UNSUPPORTED),
        ([(0.56, 0.58, 0.60)], UNSUPPORTED),
    ],
)
def test_latency_at_half_is_judged_by_the_seeds_own_ratio(seed, quartiles, verdict):
    found = claims_vtp.latency_at_half(seed, recorded(*quartiles))
    assert found.verdict == verdict
    assert f"{quartiles[0][1]:.2f}×" in found.evidence
    assert "0.51× its operations" in found.evidence


def test_the_seeds_gains_come_from_its_table(seed):
    quartiles = (0.60, 0.62, 0.64)
    found = claims_vtp.latency_at_half(seed, recorded(quartiles))
    assert "latency −43 %, throughput +70 %;" in found.evidence
    slower = seed.assign(seconds=seed["seconds"].where(seed["keep"] != 0.5, 0.06))
    found = claims_vtp.latency_at_half(slower, recorded(quartiles))
    assert ("latency −26 %" in found.evidence, found.verdict) == (True, REPRODUCED)


def test_a_share_that_was_not_recorded_gives_no_verdict(seed):
    frame = recorded((0.50, 0.52, 0.54))
    with pytest.raises(ValueError, match=r"'keep 0\.5': no such case"):
        claims_vtp.latency_at_half(seed, frame[frame["keep"] == 1])


def pruned(code, norm):
    """Both forms, on two tasks: the differences of one at keep 0.7; with few patches all lose much."""
    return pd.concat(
        [
            compared(variant, scenes={0.7: around(at), 0.3: around(-0.3)}, cifar10={0.9: around(0), 0.7: around(0)})
            for variant, at in (("seed's code", code), ("L2 norm", norm))
        ]
    )


@pytest.mark.parametrize(
    ("code", "norm", "verdict"),
    [
        (-0.009, -0.5, REPRODUCED),
        (-0.5, -0.009, CORRECTED),
        (-0.5, -0.011, CONTRADICTED),
    ],
)
def test_a_point_may_be_lost_from_moderate_pruning_up(code, norm, verdict):
    found = claims_vtp.accuracy_is_kept(pruned(code, norm), {"start": True, "end": False})
    assert found.verdict == verdict
    assert f"The seed's code: scenes {100 * code:.1f} ± 0.4 (keep 0.7)".replace("-", "−") in found.evidence
    assert f"norms: scenes {100 * norm:.1f} ± 0.4 (keep 0.7)".replace("-", "−") in found.evidence


@pytest.mark.parametrize(("start", "word"), [(True, "equal"), (False, "not equal")])
def test_equal_prompts_are_named_as_chance(start, word):
    evidence = claims_vtp.accuracy_is_kept(pruned(-0.5, -0.5), {"start": start, "end": False}).evidence
    assert f"are {word} at the start token and not equal at the end token" in evidence
    assert ("every accuracy is chance" in evidence) == start


def test_a_form_that_was_not_tried_gives_no_verdict():
    with pytest.raises(ValueError, match="'L2 norm': no such case"):
        claims_vtp.accuracy_is_kept(compared("seed's code", t={0.7: around(0)}), {"start": True, "end": False})


@pytest.mark.parametrize(
    ("scenes", "cifar10", "verdict"),
    [
        ((0.01, 0.02, 0.05), (0.01, 0.01, 0.01), REPRODUCED),
        ((0.01, 0.02, 0.05), (0.01, -0.02, -0.05), CONTRADICTED),  # keep 0.9 counts for nothing
        ((0.01, 0.02, 0.05), (0.01, 0.02, -0.05), UNSUPPORTED),
        ((0.01, 0.02, 0.05), (-0.01, 0.0, 0.0), UNSUPPORTED),
    ],
)
def test_the_norm_is_judged_against_random_patches(scenes, cifar10, verdict):
    keeps = (0.9, 0.7, 0.5)
    tasks = {
        "scenes": {keep: around(difference) for keep, difference in zip(keeps, scenes, strict=True)},
        "cifar10": {keep: around(difference) for keep, difference in zip(keeps, cifar10, strict=True)},
    }
    random = compared("random", scenes={keep: (0, 0) for keep in keeps})
    found = claims_vtp.norm_tells_importance(pd.concat([compared("L2 norm", **tasks), random]))
    assert found.verdict == verdict
    assert "scenes +1.0 ± 0.4 (keep 0.9), +2.0 ± 0.4 (keep 0.7), +5.0 ± 0.4 (keep 0.5); cifar10" in found.evidence
    assert ("worse than random on cifar10." in found.evidence) == (verdict == CONTRADICTED)


def test_light_pruning_alone_does_not_refute_the_norm():
    assert claims_vtp.norm_tells_importance(compared("L2 norm", t={0.9: around(-0.1)})).verdict == UNSUPPORTED


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ((0.01, 0.02), REPRODUCED),
        ((-0.01, 0.001), CONTRADICTED),
        ((-0.01, 0.02), UNSUPPORTED),
        ((0.001, 0.002), UNSUPPORTED),
    ],
)
def test_a_summary_is_judged_by_what_it_adds(differences, verdict):
    rows = {keep: around(difference) for keep, difference in zip((0.7, 0.5), differences, strict=True)}
    found = claims_vtp.summary_keeps_context(compared("L2 norm, summary", t=rows))
    assert found.verdict == verdict
    low, high = (f"{100 * one:+.1f}".replace("-", "−") for one in differences)
    assert f"by {low} to {high} points" in found.evidence


def test_frames_of_accuracies_are_read_as_they_are_made():
    rows = [
        {"machine": "M", "task": "t", "variant": variant, "keep": keep, "seed": number, "accuracy": share}
        for variant, keep, shares in (("untouched", 1.0, (0.8, 0.9)), ("seed's code", 0.7, (0.1, 0.2)))
        for number, share in enumerate(shares)
    ]
    rows += [{**row, "variant": "L2 norm", "accuracy": row["accuracy"] + 0.7} for row in rows[2:]]
    frame = accuracy.compared(pd.DataFrame(rows), "untouched", ("variant", "keep"))
    assert claims_vtp.accuracy_is_kept(frame, {"start": True, "end": False}).verdict == CORRECTED
