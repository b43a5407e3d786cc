"""Verdicts on state space models that see follow the numbers: each is made to come out every way."""

import pandas as pd
import pytest

from lib.report.claims import ssm_vlm
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED
from lib.report.frames import Missing


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ({64: 2.0, 256: 0.8, 1024: 0.5}, REPRODUCED),
        ({64: 2.0, 256: 1.2, 1024: 0.5}, CORRECTED),
        ({64: 2.0, 256: 1.5, 1024: 1.2}, CONTRADICTED),
        ({64: 2.0, 256: 1.5, 1024: 0.9}, UNSUPPORTED),  # its quartiles lie on both sides
        ({64: 2.0, 1024: 0.5}, CORRECTED),  # nothing at CLIP's size
    ],
)
def test_a_low_rate_must_be_faster_where_clip_is(ratios, verdict):
    rows = [
        {"variant": ssm_vlm.LOW, "patches": patches, "latency_ratio": ratio}
        | {"latency_ratio_low": ratio - 0.05, "latency_ratio_high": ratio + 0.05}
        for patches, ratio in ratios.items()
    ]
    assert ssm_vlm.a_low_rate_accelerates_clip(pd.DataFrame(rows)).verdict == verdict


def test_without_the_towers_that_are_judged_nothing_is_decided():
    rows = pd.DataFrame({"variant": ["transformer"], "patches": [64], "slope": [1.0]})
    with pytest.raises(Missing):
        ssm_vlm.a_low_rate_accelerates_clip(rows)
    with pytest.raises(Missing, match="no case with variant Vision Mamba"):
        ssm_vlm.scans_of_images_are_linear(rows, rows)


@pytest.mark.parametrize(
    ("scans", "mixed", "verdict"), [(1.0, 1.6, CORRECTED), (1.05, 1.0, REPRODUCED), (1.4, 1.6, CONTRADICTED)]
)
def test_operations_of_scans_and_of_a_mixture_are_looked_at(scans, mixed, verdict):
    slopes = pd.DataFrame({"variant": [ssm_vlm.SEEING, ssm_vlm.MIXED], "slope": [scans, mixed]})
    assert ssm_vlm.scans_of_images_are_linear(slopes, slopes).verdict == verdict
