"""Verdicts on the accuracy of pruned tokens follow the numbers: each is made to come out every way."""

import pandas as pd
import pytest

from lib.experiments.clip_learned_runs import TOKEN
from lib.experiments.clip_variants import NORM, ORIGINAL, SUMMARY, UNREDUCED
from lib.report import accuracy
from lib.report.claims import clip
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED
from lib.report.frames import Missing


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


def pruned(code, norm):
    """Both forms, on two tasks: the differences of one at keep 0.7; with few patches all lose much."""
    return pd.concat(
        [
            compared(variant, scenes={0.7: around(at), 0.3: around(-0.3)}, cifar10={0.9: around(0), 0.7: around(0)})
            for variant, at in ((ORIGINAL, code), (NORM, norm))
        ]
    )


@pytest.mark.parametrize(
    ("code", "norm", "verdict"),
    [
        (-0.005, -0.5, REPRODUCED),
        (-0.5, -0.005, CORRECTED),
        (-0.5, -0.5, CONTRADICTED),
        (-0.5, -0.009, UNSUPPORTED),  # its interval holds the point
        (-0.009, -0.009, UNSUPPORTED),
    ],
)
def test_a_point_may_be_lost_from_moderate_pruning_up(code, norm, verdict):
    found = clip.accuracy_is_kept(pruned(code, norm), {"start": True, "end": False})
    assert found.verdict == verdict
    assert f"The original code: scenes {100 * code:.1f} ± 0.4 (keep 0.7)".replace("-", "−") in found.evidence
    assert f"norms: scenes {100 * norm:.1f} ± 0.4 (keep 0.7)".replace("-", "−") in found.evidence


@pytest.mark.parametrize(("start", "word"), [(True, "equal"), (False, "not equal")])
def test_equal_prompts_are_named_as_chance(start, word):
    evidence = clip.accuracy_is_kept(pruned(-0.5, -0.5), {"start": start, "end": False}).evidence
    assert f"are {word} at the start token and not equal at the end token" in evidence
    assert ("every accuracy is chance" in evidence) == start


def test_a_form_that_was_not_tried_gives_no_verdict():
    with pytest.raises(Missing, match="no case with variant L2 norm"):
        clip.accuracy_is_kept(compared(ORIGINAL, t={0.7: around(0)}), {"start": True, "end": False})


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
    found = clip.norm_tells_importance(pd.concat([compared(NORM, **tasks), random]))
    assert found.verdict == verdict
    assert "scenes +1.0 ± 0.4 (keep 0.9), +2.0 ± 0.4 (keep 0.7), +5.0 ± 0.4 (keep 0.5); cifar10" in found.evidence
    assert ("worse than random on cifar10." in found.evidence) == (verdict == CONTRADICTED)


def test_light_pruning_alone_does_not_refute_the_norm():
    assert clip.norm_tells_importance(compared(NORM, t={0.9: around(-0.1)})).verdict == UNSUPPORTED


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ((0.01, 0.02), REPRODUCED),
        ((-0.01, 0.001), CONTRADICTED),
        ((0.001, 0.002), CONTRADICTED),  # less than a point
        ((-0.01, 0.02), UNSUPPORTED),
        ((0.001, 0.012), UNSUPPORTED),
    ],
)
def test_a_summary_is_judged_by_what_it_adds(differences, verdict):
    rows = {keep: around(difference) for keep, difference in zip((0.7, 0.5), differences, strict=True)}
    found = clip.summary_of_clip_keeps_context(compared(SUMMARY, t=rows))
    assert found.verdict == verdict
    learned = clip.learned_token_keeps_context(compared(TOKEN, t=rows), compared(SUMMARY, t={0.5: around(0.3)}))
    assert learned.verdict == verdict  # whatever the mean gains
    low, high = (f"{100 * one:+.1f}".replace("-", "−") for one in differences)
    assert f"by {low} to {high} points" in found.evidence
    assert f"{sum(one > 0.004 for one in differences)} of 2 gains" in found.evidence


def test_frames_of_accuracies_are_read_as_they_are_made():
    rows = [
        {"machine": "M", "task": "t", "variant": variant, "keep": keep, "seed": number, "accuracy": share}
        for variant, keep, shares in ((UNREDUCED, 1.0, (0.8, 0.9)), (ORIGINAL, 0.7, (0.1, 0.2)))
        for number, share in enumerate(shares)
    ]
    rows += [{**row, "variant": NORM, "accuracy": row["accuracy"] + 0.7} for row in rows[2:]]
    frame = accuracy.compared(pd.DataFrame(rows), UNREDUCED, ("variant", "keep"))
    assert clip.accuracy_is_kept(frame, {"start": True, "end": False}).verdict == CORRECTED
