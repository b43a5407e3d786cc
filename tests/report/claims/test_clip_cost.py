"""Verdicts on what pruned tokens cost follow the numbers: each is made to come out every way."""

import pandas as pd
import pytest

from lib.report.claims import clip_cost
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED
from lib.report.frames import Missing, original


@pytest.fixture
def theirs():
    return original.clip()


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
    assert clip_cost.tokens_per_image(counts).verdict == verdict


def test_patches_are_named_by_side_in_order():
    evidence = clip_cost.tokens_per_image({800: 2500, 128: 64, 224: 196}).evidence
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
    assert clip_cost.attention_is_the_bottleneck(parts(**attention)).verdict == verdict


def test_shares_of_attention_are_named_at_three_sides():
    found = clip_cost.attention_is_the_bottleneck(parts(s448=90, s128=1, s336=15, s224=10))
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
    found = clip_cost.latency_is_quadratic(pd.DataFrame(rows))
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
        ([(0.50, 0.52, 0.54), (0.53, 0.54, 0.56)], REPRODUCED),
        ([(0.50, 0.52, 0.54), (0.54, 0.56, 0.60)], UNSUPPORTED),  # the median alone is as low
        ([(0.60, 0.62, 0.64), (0.57, 0.58, 0.60)], CONTRADICTED),
        ([(0.50, 0.52, 0.54), (0.60, 0.62, 0.64)], UNSUPPORTED),
        ([(0.56, 0.58, 0.60)], UNSUPPORTED),
    ],
)
def test_latency_at_half_is_judged_by_the_reports_own_ratio(theirs, quartiles, verdict):
    found = clip_cost.latency_at_half(theirs, recorded(*quartiles))
    assert found.verdict == verdict
    low, ratio, high = quartiles[0]
    assert f"{ratio:.2f}× [{low:.2f}, {high:.2f}] on M0" in found.evidence
    assert "0.51× its operations" in found.evidence


def test_the_reports_gains_come_from_its_table(theirs):
    quartiles = (0.60, 0.62, 0.64)
    found = clip_cost.latency_at_half(theirs, recorded(quartiles))
    assert "latency −43 %, throughput +70 %;" in found.evidence
    slower = theirs.assign(seconds=theirs["seconds"].where(theirs["keep"] != 0.5, 0.06))
    found = clip_cost.latency_at_half(slower, recorded(quartiles))
    assert ("latency −26 %" in found.evidence, found.verdict) == (True, REPRODUCED)


def test_a_share_that_was_not_recorded_gives_no_verdict(theirs):
    frame = recorded((0.50, 0.52, 0.54))
    with pytest.raises(Missing, match=r"no case with keep 0\.5"):
        clip_cost.latency_at_half(theirs, frame[frame["keep"] == 1])


@pytest.mark.parametrize(
    ("ratio", "verdict"), [(0.5, REPRODUCED), (0.2, UNSUPPORTED), (0.95, UNSUPPORTED), (1.0, CONTRADICTED)]
)
def test_memory_at_half_is_held_against_the_reports_table(ratio, verdict):
    recorded = pd.DataFrame({"machine": ["M"], "keep": [0.5], "memory_bytes": [ratio * 80], "memory_ratio": [ratio]})
    found = clip_cost.memory_at_half(original.clip(), recorded, 320)
    assert found.verdict == verdict
    assert "−10 %" in found.evidence


@pytest.mark.parametrize(
    ("printed", "measured", "verdict"),
    [
        ((80, 79, 60), (1.0, 0.9, 0.5), CORRECTED),  # as slow as the unreduced encoder at first
        ((80, 79, 60), (0.99, 0.9, 0.5), REPRODUCED),
        ((80, 82, 60), (1.1, 0.9, 0.5), CORRECTED),
        ((80, 79, 60), (1.0, 0.9, 0.95), CONTRADICTED),
        ((80, 79, 79), (0.99, 0.9, 0.5), CONTRADICTED),  # the report's own table does not fall
    ],
)
def test_latency_falls_with_every_share_or_not(printed, measured, verdict):
    assert_falls(printed, measured, measured, measured, verdict)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        ((0.97, 0.90, 0.50), (0.99, 0.92, 0.52), REPRODUCED),
        ((0.97, 0.90, 0.50), (1.01, 0.92, 0.52), CORRECTED),  # beside the unreduced encoder not known
        ((0.97, 0.90, 0.50), (0.99, 0.92, 0.91), UNSUPPORTED),  # the last two meet
        ((0.97, 0.90, 0.93), (0.99, 0.92, 0.95), CONTRADICTED),
    ],
)
def test_latency_falls_by_whole_quartile_ranges(low, high, verdict):
    assert_falls((80, 79, 60), low, (0.98, 0.91, 0.51), high, verdict)


def assert_falls(printed, low, measured, high, verdict):
    variants = ["baseline", "vtp", "vtp"]
    table = pd.DataFrame({"variant": variants, "keep": [1.0, 1.0, 0.5], "seconds": [one / 1e3 for one in printed]})
    ranges = {"latency_ratio": measured, "latency_ratio_low": low, "latency_ratio_high": high}
    recorded = pd.DataFrame({"machine": "M", "keep": [1.0, 0.7, 0.5]} | ranges)
    found = clip_cost.latency_falls_monotonically(table, recorded)
    assert found.verdict == verdict
    assert f"{printed[0]} → {printed[1]} → {printed[2]} ms" in found.evidence
