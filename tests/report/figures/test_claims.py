"""The picture of all verdicts: a square per claim, and frames around shared facts."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.patches import Rectangle

from lib.report.claims.ledger import VERDICTS, claims
from lib.report.claims.outcomes import OUTCOMES, Outcome
from lib.report.figures import claims as draw


@pytest.fixture
def drawn():
    words = dict(zip(claims(), list(OUTCOMES) * len(claims()), strict=False))
    found = [Outcome(claim, words[id_], ()) for id_, claim in claims().items()]
    _, ax = plt.subplots()
    yield draw.all_verdicts(ax, found)
    plt.close("all")


def squares(ax):
    return [bar for container in ax.containers for bar in container]


def test_every_claim_has_a_square_and_no_line_is_longer_than_a_phone_is_wide(drawn):
    shown = {text.get_text() for text in drawn.texts}
    assert set(claims()) <= shown
    assert set(draw.PARTS.values()) <= shown
    places = {(bar.get_x(), bar.get_y()) for bar in squares(drawn)}
    assert len(places) == len(squares(drawn)) == len(claims())  # none upon another
    assert max(bar.get_x() + bar.get_width() for bar in squares(drawn)) <= draw.ACROSS


def test_every_outcome_has_its_own_look(drawn):
    named = [text.get_text() for text in drawn.get_legend().get_texts()]
    assert named == list(OUTCOMES)
    looks = {(bar.get_facecolor(), bar.get_hatch()) for bar in squares(drawn)}
    assert len(looks) == len(OUTCOMES) == len(VERDICTS) + 1


def test_a_frame_joins_the_claims_that_share_a_fact(drawn):
    bars = set(squares(drawn))
    frames = [one for one in drawn.patches if isinstance(one, Rectangle) and one not in bars]
    shared = {}
    for claim in claims().values():
        if claim.fact:
            shared.setdefault((claim.id[0], claim.fact), []).append(claim.id)
    sizes = sorted(len(ids) for ids in shared.values() if len(ids) > 1)
    assert sorted(round(one.get_width()) for one in frames) == sizes
    inside = [
        {text.get_text() for text in drawn.texts if one.get_window_extent().contains(*text.get_window_extent().p0)}
        for one in frames
    ]
    assert any(found >= {"A1", "A3", "A13", "A16"} for found in inside)
