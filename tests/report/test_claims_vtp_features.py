"""Verdicts on what the seed's code makes of features: each is made to come out every way."""

import pytest

from lib.report import claims_vtp
from lib.report.claims import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED


@pytest.mark.parametrize(
    ("written", "mended", "neighbour", "verdict"),
    [
        (0.9995, 1.0, 1e-6, REPRODUCED),
        (0.9995, 1.0, 0.4, CORRECTED),
        (0.02, 1.0, 1e-6, CORRECTED),
        (0.02, 0.9, 0.4, CONTRADICTED),
    ],
)
def test_code_works_where_it_gives_the_untouched_features(written, mended, neighbour, verdict):
    found = claims_vtp.works_as_written({"as written": written, "mended": mended}, neighbour)
    assert found.verdict == verdict
    assert f"{written:.3f} as written, {mended:.3f} with" in found.evidence


def test_a_negative_cosine_has_a_minus_and_zero_has_none():
    evidence = claims_vtp.works_as_written({"as written": -0.25, "mended": -0.0001}, 0.4).evidence
    assert "−0.250 as written, 0.000 with" in evidence


@pytest.mark.parametrize(
    ("half", "one", "verdict"),
    [(0.44, 0.6, REPRODUCED), (0.9, 0.6, CONTRADICTED), (0.9, 0.995, UNSUPPORTED), (0.53, 0.995, UNSUPPORTED)],
)
def test_a_cosine_is_judged_by_like_with_like(half, one, verdict):
    sides = {"both normed, all": 1.0, "one normed, all": one, "both normed, half": half}
    found = claims_vtp.cosine_of_features(sides)
    assert found.verdict == verdict
    assert f"give {one:.3f}; with the norm on both sides they give 1.000, and half of them {half:.3f}" in found.evidence
