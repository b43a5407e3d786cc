"""What the original report says of models that are not its own: every judge comes out every way that it names."""

import pandas as pd
import pytest

from lib.report.claims import cited as judges
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED
from lib.report.frames import Missing, original
from lib.report.history import Paper, history

SEARCHES = history().searches


def against(*longest, short=0.7):
    """A scan's latency relative to attention's, with quartiles, at two lengths."""
    low, middle, high = longest
    columns = ["machine", "variant", "length", "latency_ratio_low", "latency_ratio", "latency_ratio_high"]
    return pd.DataFrame(
        [("m", "scan, cpp", 256, short, short, short), ("m", "scan, cpp", 4096, low, middle, high)], columns=columns
    )


def growth(scan, attention):
    columns = ["machine", "variant", "slope", "low", "high"]
    return pd.DataFrame(
        [("m", "scan, cpp", sum(scan) / 2, *scan), ("m", "attention", sum(attention) / 2, *attention)], columns=columns
    )


@pytest.mark.parametrize(
    ("ratios", "scan", "verdict"),
    [
        ((0.01, 0.01, 0.02), (0.8, 1.1), REPRODUCED),
        ((0.01, 0.01, 0.02), (0.8, 1.8), UNSUPPORTED),  # it may grow as fast
        ((0.9, 1.0, 1.1), (0.8, 1.1), UNSUPPORTED),
        ((1.1, 1.2, 1.3), (0.8, 1.1), CONTRADICTED),
    ],
)
def test_a_scan_outperforms_where_it_is_faster_and_grows_more_slowly(ratios, scan, verdict):
    found = judges.scan_beats_attention(against(*ratios), growth(scan, (1.7, 2.0)), SEARCHES)
    assert found.verdict == verdict
    assert "4,096 tokens" in found.evidence


def test_how_many_times_as_fast_is_said():
    found = judges.scan_beats_attention(against(0.01, 0.0125, 0.02), growth((0.8, 1.1), (1.7, 2.0)), SEARCHES)
    assert "attention takes 80× the time of the scan" in found.evidence


@pytest.mark.parametrize("judge", [judges.throughput_on_gpus, judges.throughput_on_a_cpu])
@pytest.mark.parametrize(
    ("short", "long", "verdict"), [(1.9, 0.5, REPRODUCED), (2.5, 0.5, CORRECTED), (2.5, 2.1, CONTRADICTED)]
)
def test_comparable_is_at_most_twice_the_time_at_every_length(judge, short, long, verdict):
    assert judge(against(long, long, long, short=short)).verdict == verdict


WHOLE = {"visual tokens": True, "class token": True, "as written": True, "mended": True}
NONE = dict.fromkeys(WHOLE, False)


@pytest.mark.parametrize(
    ("align", "siglip", "verdict"),
    [
        (WHOLE, WHOLE, REPRODUCED),
        (NONE, WHOLE, CORRECTED),
        (NONE, NONE | {"visual tokens": True, "mended": True}, CORRECTED),
        (NONE, NONE, CONTRADICTED),
    ],
)
def test_pruning_plugs_where_its_code_runs(align, siglip, verdict):
    found = judges.plugs_into_others({"CLIP": WHOLE, "ALIGN": align, "SigLIP": siglip})
    assert found.verdict == verdict


def test_what_a_tower_lacks_is_said_and_clip_is_the_control():
    found = judges.plugs_into_others({"CLIP": WHOLE, "ALIGN": NONE, "SigLIP": NONE | {"visual tokens": True}})
    assert "ALIGN's image tower has no visual tokens and no class token" in found.evidence
    assert "SigLIP's image tower has visual tokens and no class token" in found.evidence
    with pytest.raises(Missing, match="CLIP"):
        judges.plugs_into_others({"CLIP": NONE, "ALIGN": NONE, "SigLIP": NONE})


BOTH = ("distillation", "weight sharing")


@pytest.mark.parametrize(
    ("eva", "mobile", "verdict"),
    [
        ((100, BOTH), (50, BOTH), REPRODUCED),
        ((400, ("masks",)), (50, ("distillation",)), CORRECTED),
        ((400, BOTH), (50, ("masks",)), CONTRADICTED),
    ],
)
def test_compact_is_smaller_than_clip_and_by_the_means_that_are_named(eva, mobile, verdict):
    papers = {
        name: Paper(arxiv="2303.15389", parameters=(size * 10**6, 10**9), by=by)
        for name, (size, by) in {"EVA-CLIP": eva, "MobileCLIP": mobile}.items()
    }
    found = judges.compact_by_distillation(papers, 150 * 10**6)
    assert found.verdict == verdict
    assert "arXiv 2303.15389" in found.evidence


@pytest.mark.parametrize(
    ("maps", "weights", "verdict"), [(30, 20, REPRODUCED), (20, 10, UNSUPPORTED), (1, 300, CONTRADICTED)]
)
def test_maps_fill_memory_where_they_are_half_of_it(maps, weights, verdict):
    found = judges.maps_fill_its_memory(original.runs(), {224: maps * 2**20}, weights * 2**20)
    assert found.verdict == verdict


@pytest.mark.parametrize(("power", "verdict"), [(2.0, REPRODUCED), (1.5, UNSUPPORTED), (1.0, CONTRADICTED)])
def test_stored_maps_show_as_memory_that_is_quadratic(power, verdict):
    tokens, wobble = [65, 197, 442, 785], [1.0, 1.02, 0.98, 1.0]
    held = [1e5 * t**power * off for t, off in zip(tokens, wobble, strict=True)]
    rows = pd.DataFrame({"machine": "m", "side": [128, 224, 336, 448], "tokens": tokens, "images": 2, "held": held})
    found = judges.memory_is_quadratic(rows, {448: 2**20})
    assert found.verdict == verdict
    assert "At 448 pixels one layer's would take 2.00 MiB" in found.evidence
