"""Verdicts on what the original code makes of features: each is made to come out every way."""

import pandas as pd
import pytest

from lib.report.claims import clip
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED


@pytest.mark.parametrize(
    ("written", "mended", "neighbour", "verdict"),
    [
        (0.9995, 1.0, 1e-6, REPRODUCED),
        (0.9995, 1.0, 0.4, CORRECTED),
        (0.02, 1.0, 1e-6, CORRECTED),
        (0.02, 0.9, 0.4, CONTRADICTED),
    ],
)
def test_code_works_where_it_gives_the_unreduced_features(written, mended, neighbour, verdict):
    found = clip.works_as_written(({"as written": written, "mended": mended}, neighbour))
    assert found.verdict == verdict
    assert f"{written:.3f} as written, {mended:.3f} with" in found.evidence


def test_a_negative_cosine_has_a_minus_and_zero_has_none():
    evidence = clip.works_as_written(({"as written": -0.25, "mended": -0.0001}, 0.4)).evidence
    assert "−0.250 as written, 0.000 with" in evidence


@pytest.mark.parametrize(
    ("whole", "half", "verdict"),
    [(1.0, 0.49, REPRODUCED), (0.45, 0.46, CONTRADICTED), (0.9, 0.47, UNSUPPORTED), (1.0, 0.8, UNSUPPORTED)],
)
def test_the_cosine_is_held_against_that_of_all_patches(whole, half, verdict):
    rows = [{"task": task, "keep": keep, "cosine": one} for task in "ab" for keep, one in ((1.0, whole), (0.5, half))]
    found = clip.cosine_of_features(pd.DataFrame(rows), ({"both normed, all": 1.0, "both normed, half": 0.8}, 0.4))
    assert found.verdict == verdict
    assert ("says nothing of pruning" in found.evidence) == (verdict == CONTRADICTED)
