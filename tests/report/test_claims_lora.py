"""Verdicts on low-rank adaptation follow the numbers: each is made to come out every way."""

import pandas as pd
import pytest

from lib.report import claims_lora
from lib.report.claims import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED


@pytest.mark.parametrize(("start", "verdict"), [(0.9, REPRODUCED), (0.7, UNSUPPORTED), (0.1, CONTRADICTED)])
def test_the_pseudocode_is_judged_before_the_first_step(start, verdict):
    starts = {"untouched": 0.9, "LoRA": 0.9, "bottleneck": start, "chance": 0.1}
    assert claims_lora.bottleneck_is_lora(starts).verdict == verdict


def compared(**bounds):
    rows = [
        {"variant": variant, "task": task, "difference": high - 0.01, "difference_high": high}
        for variant, high in bounds.items()
        for task in ("scenes", "CIFAR-10")
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("low", "bottleneck", "verdict"),
    [(0.01, 0.01, REPRODUCED), (0.01, -0.1, CORRECTED), (-0.1, -0.1, CONTRADICTED), (-0.1, 0.01, CONTRADICTED)],
)
def test_alignment_is_judged_by_intervals_on_every_task(low, bottleneck, verdict):
    found = claims_lora.keeps_alignment(compared(LoRA=low, bottleneck=bottleneck), {"LoRA": 0.03, "bottleneck": 0.01})
    assert found.verdict == verdict
    assert "LoRA, 3.0 % of the weights" in found.evidence


def test_one_task_of_two_supports_nothing():
    mixed = compared(LoRA=0.01, bottleneck=-0.1)
    mixed.loc[(mixed["variant"] == "LoRA") & (mixed["task"] == "scenes"), "difference_high"] = -0.1
    assert claims_lora.keeps_alignment(mixed, {"LoRA": 0.03, "bottleneck": 0.01}).verdict == UNSUPPORTED


def test_without_trainings_nothing_is_supported():
    found = claims_lora.keeps_alignment(compared(LoRA=0.01), {"LoRA": 0.03, "bottleneck": 0.01})
    assert found.verdict == UNSUPPORTED
