"""One token reduction against every other one at equal operations, or at equal measured time, setting by setting.

A line between two settings is no measurement: settings are held against each other as they were recorded.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.experiments.clip_variants import UNREDUCED
from lib.report.accuracy import of_images
from lib.report.frames import Missing
from lib.report.statistics import holm, p_apart

SETTING = ["variant", "keep", "target"]
AHEAD, LEVEL, BEHIND = "ahead", "level", "behind"
OTHER, OWN = "other", "own"  # which of the two costs no more
ALPHA = 0.05  # an adjusted p-value below it decides


@dataclass(frozen=True)
class Met:
    """Comparisons at equal cost by their outcomes, of `total`."""

    total: int
    ahead: int
    level: int
    behind: int


def at_equal(frame: pd.DataFrame, variant: str, cost: str, exactly: bool = False) -> pd.DataFrame:
    """One variant against every other one, a row per pair of settings.

    With each of its settings stands the dearest one of the other that costs no more; with each of the other's, its own
    dearest one that costs no more.

    frame    outcomes of `lib.experiments.clip_accuracy.frame` with a target, and the unreduced model's; the column
             `cost` by setting
    exactly  whether only settings of one and the same cost are held against each other
    returns  machine, task, against; own, other: costs of the two settings; cheaper, OTHER or OWN, which of them costs
             no more; own_retained, other_retained; gained, their difference, with _low and _high, and `how`; `p`, of no
             difference on other images, adjusted by Holm for all comparisons on the task; outcome: AHEAD or BEHIND
             where zero lies outside of the interval and `p` is below ALPHA, else LEVEL. Adjusted are images alone:
             three checkpoints leave too few degrees of freedom for a family of tests
    raises   Missing, naming it, for a setting without a cost, and where two are not of the same checkpoints
    """
    found = []
    for (machine, task), rows in frame.groupby(["machine", "task"], sort=False):
        whole = rows[rows["variant"] == UNREDUCED].sort_values("seed")
        settings = [group.sort_values("seed") for _, group in rows.dropna(subset="target").groupby(SETTING, sort=False)]
        names = [group["variant"].iloc[0] for group in settings]
        costs = [float(group[cost].iloc[0]) for group in settings]
        own = [place for place, name in enumerate(names) if name == variant]
        if without := [name for name, one in zip(names, costs, strict=True) if pd.isna(one)]:
            raise Missing(f"{task}: a setting of {without[0]!r} has no {cost}")
        for other in dict.fromkeys(name for name in names if name != variant):
            theirs = [place for place, name in enumerate(names) if name == other]
            pairs = [(OTHER, mine, _dearest(costs, mine, theirs, exactly)) for mine in own]
            if not exactly:
                pairs += [(OWN, _dearest(costs, one, own, exactly), one) for one in theirs]
            for cheaper, mine, one in pairs:
                if mine is None or one is None:
                    continue
                at = {"machine": machine, "task": task, "against": other, "cheaper": cheaper}
                at |= {OWN: costs[mine], OTHER: costs[one]}
                found.append(at | _gained(settings[mine], settings[one], whole))
    rows = pd.DataFrame(found)
    if rows.empty:
        return rows
    rows["p"] = rows.groupby(["machine", "task"], sort=False)["p"].transform(holm)
    words = [outcome(row.gained_low, row.gained_high) if row.p < ALPHA else LEVEL for row in rows.itertuples()]
    return rows.assign(outcome=words)


def outcome(low: float, high: float) -> str:
    """What an interval of a difference says: AHEAD, BEHIND, or LEVEL where it holds zero."""
    return AHEAD if low > 0 else BEHIND if high < 0 else LEVEL


def summed(rows: pd.DataFrame) -> Met:
    """How many comparisons of `at_equal` there are, and of each outcome."""
    return Met(len(rows), *(int((rows["outcome"] == word).sum()) for word in (AHEAD, LEVEL, BEHIND)))


def split(rows: pd.DataFrame, peers: Collection[str]) -> dict[str, Met]:
    """The same of comparisons with ToMe, which are `peers`, and with all others."""
    among = rows["against"].isin(peers)
    return {"tome": summed(rows[among]), "others": summed(rows[~among])}


def _dearest(costs: Sequence[float], setting: int, among: Sequence[int], exactly: bool) -> int | None:
    """Of some settings the one of the largest cost that is no larger than this one's, or the same."""
    most = costs[setting]
    held = [place for place in among if costs[place] == most or (not exactly and costs[place] < most)]
    return max(held, key=lambda place: costs[place], default=None)


def _gained(ours: pd.DataFrame, theirs: pd.DataFrame, whole: pd.DataFrame) -> dict[str, float | str]:
    seeds = [list(side["seed"]) for side in (ours, theirs, whole)]
    if not seeds[0] == seeds[1] == seeds[2]:
        raise Missing(f"{ours['task'].iloc[0]}: settings of checkpoints {seeds[0]}, {seeds[1]} and {seeds[2]}")
    each = ours["retained"].to_numpy() - theirs["retained"].to_numpy()
    one = of_images(_share, each, ours, theirs, whole)
    both = {f"{name}_retained": side["retained"].mean() for name, side in ((OWN, ours), (OTHER, theirs))}
    return both | {
        "gained": one.mean,
        "gained_low": one.low,
        "gained_high": one.high,
        "how": one.how,
        "p": p_apart(one.parts[0] if one.parts else one),  # of the images, where checkpoints are another part
    }


def _share(ours: np.ndarray, theirs: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return (ours - theirs) / whole
