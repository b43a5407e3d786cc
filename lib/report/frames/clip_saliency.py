"""Frames of reductions on the pretrained ViT: means over images, and differences of two methods on the same images."""

import numpy as np
import pandas as pd

from lib.experiments.clip_saliency import MAPS, PROBED
from lib.experiments.clip_variants import UNREDUCED
from lib.report import frames
from lib.report.frames.lora_pairs import Gap
from lib.report.statistics import SEED, Interval, bootstrap


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per method and share: target, ratio; correlation and points lost by the probe, with _low and _high.

    rows   of `lib.experiments.clip_saliency.frame`, of one machine; `lost` is of the layer that was chosen, `lost_last`
           of the last one; NaN for a map that no model made
    """
    found = []
    maps = rows[rows["part"] == MAPS]
    for row in maps[maps["variant"] != UNREDUCED].itertuples():
        held = {"variant": row.variant, "target": row.target, "ratio": row.ratio}
        held |= _named("correlation", _mean(np.array(row.correlations)))
        for name, last in (("lost", False), ("lost_last", True)):
            held |= _named(name, _lost(rows, row.variant, row.target, last))
        found.append(held)
    return pd.DataFrame(found)


def difference(rows: pd.DataFrame, one: str, other: str, target: float, of: str) -> Gap:
    """One method minus another at a share of the operations: of correlations, or of the probe's accuracy.

    of       MAPS or PROBED
    raises   Missing where one of them is not there
    """
    ours, theirs = (_values(rows, variant, target, of) for variant in (one, other))
    found = _mean(ours - theirs)
    return Gap(found.mean, found.low, found.high, found.how)


def probed(rows: pd.DataFrame, variant: str, target: float, last: bool = False) -> pd.Series:
    """The probe's case of a method."""
    return frames.only(frames.where(rows, part=PROBED, last=last), variant=variant, target=target)


def _values(rows: pd.DataFrame, variant: str, target: float, of: str) -> np.ndarray:
    if of == PROBED:
        return probed(rows, variant, target)["hits"].astype(float)
    return np.array(frames.only(frames.where(rows, part=MAPS), variant=variant, target=target)["correlations"])


def _lost(rows: pd.DataFrame, variant: str, target: float, last: bool) -> Interval | None:
    there = frames.where(rows, part=PROBED, last=last, variant=variant, target=target)
    if there.empty:
        return None
    whole = probed(rows, UNREDUCED, 1.0, last)["hits"].astype(float)
    return _mean(whole - there.iloc[0]["hits"].astype(float))


def _mean(values: np.ndarray) -> Interval:
    """Mean over images, and its interval by bootstrap over them."""
    return bootstrap(values[None], np.mean, generator_seed=SEED)


def _named(name: str, found: Interval | None) -> dict[str, float]:
    ends = (np.nan,) * 3 if found is None else (found.mean, found.low, found.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))
