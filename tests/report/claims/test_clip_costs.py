"""Verdicts on memory and latency over the share of patches follow the numbers."""

import pandas as pd
import pytest

from lib.report import claims_vtp, pruning
from lib.report.claims import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED


@pytest.mark.parametrize(
    ("ratio", "verdict"), [(0.5, REPRODUCED), (0.2, UNSUPPORTED), (0.95, UNSUPPORTED), (1.0, CONTRADICTED)]
)
def test_memory_at_half_is_held_against_the_seeds_table(ratio, verdict):
    recorded = pd.DataFrame({"machine": ["M"], "keep": [0.5], "memory_bytes": [ratio * 80], "memory_ratio": [ratio]})
    found = claims_vtp.memory_at_half(pruning.seed_vtp(), recorded, 320)
    assert found.verdict == verdict
    assert "−10 %" in found.evidence


@pytest.mark.parametrize(
    ("printed", "measured", "verdict"),
    [
        ((80, 79, 60), (1.0, 0.9, 0.5), CORRECTED),  # as slow as the untouched encoder at first
        ((80, 79, 60), (0.99, 0.9, 0.5), REPRODUCED),
        ((80, 82, 60), (1.1, 0.9, 0.5), CORRECTED),
        ((80, 79, 60), (1.0, 0.9, 0.95), CONTRADICTED),
    ],
)
def test_latency_falls_with_every_share_or_not(printed, measured, verdict):
    variants = ["baseline", "vtp", "vtp"]
    seed = pd.DataFrame({"variant": variants, "keep": [1.0, 1.0, 0.5], "seconds": [one / 1e3 for one in printed]})
    recorded = pd.DataFrame({"machine": "M", "keep": [1.0, 0.7, 0.5], "latency_ratio": measured})
    found = claims_vtp.latency_falls_monotonically(seed, recorded)
    assert found.verdict == verdict
    assert f"{printed[0]} → {printed[1]} → {printed[2]} ms" in found.evidence
