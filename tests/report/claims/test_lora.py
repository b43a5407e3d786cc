"""Verdicts on low-rank adaptation follow the numbers: each is made to come out every way."""

import pandas as pd
import pytest

from lib.report.claims import lora
from lib.report.claims.judging import judge
from lib.report.claims.ledger import (
    CONTRADICTED,
    CORRECTED,
    JUDGES,
    NOT_TESTABLE,
    REPRODUCED,
    UNSUPPORTED,
    claims,
)
from lib.report.evidence import Evidence


@pytest.mark.parametrize(
    ("start", "images", "verdict"),
    [
        (0.9, 100, REPRODUCED),
        (0.7, 100, UNSUPPORTED),
        (0.1, 100, CONTRADICTED),
        (0.4, 1000, CONTRADICTED),
        (0.4, 20, UNSUPPORTED),  # so few images leave it open on which side of the middle it is
    ],
)
def test_the_pseudocode_is_judged_before_the_first_step_by_its_whole_interval(start, images, verdict):
    starts = {"unreduced": 0.9, "LoRA": 0.9, "bottleneck": start, "chance": 0.1, "images": images}
    assert lora.bottleneck_is_lora(starts).verdict == verdict


def test_what_small_clips_learn_does_not_decide_on_the_real_one():
    (real,) = [one for one in JUDGES if (one.id, one.on) == ("B11", "clip")]
    found = judge(Evidence(), real)
    assert found.verdict == NOT_TESTABLE
    assert found.evidence.startswith("No training of adapters on CLIP with its published weights")
    assert claims()["B11"].about == ("clip",)


def compared(**bounds):
    rows = [
        {
            "variant": variant,
            "task": task,
            "difference": low + 0.01,
            "difference_low": low,
            "difference_high": low + 0.02,
        }
        for variant, low in bounds.items()
        for task in ("scenes", "CIFAR-10")
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("low", "bottleneck", "verdict"),
    [
        (-0.009, -0.009, REPRODUCED),
        (-0.009, -0.1, CORRECTED),
        (-0.1, -0.1, CONTRADICTED),
        (-0.1, 0.01, CONTRADICTED),
        (-0.02, -0.02, UNSUPPORTED),  # from two points below to none
    ],
)
def test_alignment_is_judged_by_intervals_on_every_task(low, bottleneck, verdict):
    found = lora.keeps_alignment(compared(LoRA=low, bottleneck=bottleneck), {"LoRA": 0.03, "bottleneck": 0.01})
    assert found.verdict == verdict
    assert "LoRA, 3.0 % of the weights" in found.evidence


def test_one_task_that_loses_contradicts():
    mixed = compared(LoRA=0.01, bottleneck=-0.1)
    mixed.loc[(mixed["variant"] == "LoRA") & (mixed["task"] == "scenes"), ["difference_low", "difference_high"]] = -0.1
    assert lora.keeps_alignment(mixed, {"LoRA": 0.03, "bottleneck": 0.01}).verdict == CONTRADICTED


@pytest.mark.parametrize(
    ("counted", "memory", "verdict"),
    [
        (80, [0.8], REPRODUCED),
        (80, [1.1], CONTRADICTED),
        (81, [0.8], CONTRADICTED),
        (80, [0.8, 1.1], UNSUPPORTED),  # saves memory at one size, not at another
    ],
)
def test_adapters_are_counted_and_their_memory_is_measured(counted, memory, verdict):
    cost = pd.DataFrame({"batch": 8, "trainable": 5, "total": 1000, "memory_ratio": memory})
    found = lora.adapters_are_few({"counted": counted, "claimed": 80}, cost)
    assert found.verdict == verdict
    assert "0.5 % of the weights" in found.evidence
