"""Differences between models that share their seeds, with Student's interval, and which of them are separated.

A seed decides data, weights and batches of a model and of what is compared with it, or the one was made of the other:
differences are taken seed by seed. The interval is of other seeds, and not of other test sequences.
"""

from collections.abc import Sequence

import pandas as pd

from lib.report import statistics
from lib.report.frames import Missing

LEVEL = 0.05  # two-sided, after Holm's correction: what decides that two are apart
ABOVE, BELOW, TOGETHER = "above", "below", "not separated"


def paired(
    rows: pd.DataFrame, base: pd.DataFrame, kinds: Sequence[str], measure: str, within: Sequence[str]
) -> pd.DataFrame:
    """Means of a measure per kind, and their differences to a base of the same seeds.

    rows     a row per kind and seed: within, kinds, seed, the measure
    base     one row per `within` and seed
    within   columns that both sides have in common
    returns  within, kinds, seeds; the measure; difference with _low and _high; `how` and `degrees` of the interval;
             `p`, two-sided, of no difference; `values` and `differences` by seed. No row where the base has none
    raises   Missing, naming it, where the base lacks a seed, and for a single seed; ValueError for one that is twice
    """
    found, columns = [], [*within, *kinds]
    places = dict(iter(base.groupby(list(within), sort=False)))
    for key, group in rows.groupby(columns, sort=False):
        key = key if isinstance(key, tuple) else (key,)
        beside = places.get(key[: len(within)])
        if beside is None:
            continue
        own, other = (pd.Series(one[measure].to_numpy(), one["seed"].to_numpy()) for one in (group, beside))
        where = ", ".join(map(str, key))
        if own.index.has_duplicates or other.index.has_duplicates:
            raise ValueError(f"{where}: a seed is there twice")
        if lacking := sorted(set(own.index) - set(other.index)):
            raise Missing(f"{where}: seed {lacking[0]} has nothing to be compared with")
        differences = own - other[own.index]
        interval = statistics.paired_t(differences.to_numpy())
        found.append(
            dict(zip(columns, key, strict=True))
            | {"seeds": len(own), measure: own.mean(), "difference": interval.mean}
            | {"difference_low": interval.low, "difference_high": interval.high}
            | {"how": interval.how, "degrees": interval.degrees, "p": statistics.p_apart(interval)}
            | {"values": own.to_numpy(), "differences": differences.to_numpy()}
        )
    measured = ["seeds", measure, "difference", "difference_low", "difference_high", "how", "degrees", "p"]
    return pd.DataFrame(found, columns=[*columns, *measured, "values", "differences"])


def separated(rows: pd.DataFrame, family: Sequence[str]) -> pd.DataFrame:
    """Add `word`: whether a difference lies above or below zero, or is not separated from it, corrected by Holm.

    rows     of `paired`
    family   columns that the tests of one decision have in common
    """
    words = pd.Series(TOGETHER, index=rows.index)
    for _, group in rows.groupby(list(family), sort=False, dropna=False):
        for place, p in zip(group.index, statistics.holm(list(group["p"])), strict=True):
            if p <= LEVEL:
                words[place] = ABOVE if group.loc[place, "difference"] > 0 else BELOW
    return rows.assign(word=words)
