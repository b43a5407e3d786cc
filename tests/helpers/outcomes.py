"""Outcomes of token reduction that one can check by hand."""

import pandas as pd

from lib import records
from lib.experiments import clip_accuracy
from lib.experiments.clip_outcomes import Outcome
from lib.experiments.clip_variants import UNREDUCED


def bits(text: str) -> str:
    """Answers as ones and zeros, as a record has them."""
    return f"{int(text, 2):0{(len(text) + 3) // 4}x}"


def outcome(name: str, text: str, target: float | None = None, ratio: float = 1.0) -> Outcome:
    """An outcome with these answers, right or wrong."""
    right = text.count("1") / len(text)
    return Outcome(name, 1.0 if target is None else 0.5, target, ratio, right, 1.0, 1.0, bits(text))


def frame() -> pd.DataFrame:
    """Two variants at one target on two checkpoints and five images, as they come back from a record."""
    results = {
        0: [outcome(UNREDUCED, "11110"), outcome("ours", "11100", 0.5, 0.49), outcome("other", "00011", 0.5, 0.5)],
        1: [outcome(UNREDUCED, "11111"), outcome("ours", "11111", 0.5, 0.51), outcome("other", "00111", 0.5, 0.5)],
    }
    cases = clip_accuracy.cases(results, task="scenes", images=5)
    return clip_accuracy.frame([records.new("clip_accuracy_scenes", cases, seed=0, parameters={})])
