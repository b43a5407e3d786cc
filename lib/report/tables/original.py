"""Tables on the original report's repository and its runs on a T4."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from IPython.display import Markdown

from lib.report import frames, units
from lib.report.frames import original
from lib.report.history import NEVER, PRESENT, History, Search
from lib.report.tables import table
from lib.report.units import signed_share

SEEN = {NEVER: "in no commit up to this one", PRESENT: "present at this commit"}


def events(facts: History, caption: str) -> Markdown:
    """What happened to files: a row per event, with commits and date."""
    return table(
        {
            "files": [", ".join(f"`{file}`" for file in one.files) for one in facts.events],
            "what happened": [SEEN.get(one.state, one.state) for one in facts.events],
            "commits": [", ".join(f"`{commit}`" for commit in one.commits) for one in facts.events],
            "date": [f"{one.date:%d %B %Y}" for one in facts.events],
        },
        caption,
    )


def promised(found: pd.DataFrame, facts: History, caption: str) -> Markdown:
    """Places of results that its checklists name, and whether they were there, by state.

    found   of `lib.report.history.promised`
    """
    heads = {name: f"{state.words} ({state.commit or f'{state.date:%B %Y}'})" for name, state in facts.states.items()}
    return table(
        {
            "place": [f"`{file}`" for file in found["file"]],
            **{head: ["yes" if one else "no" for one in found[name]] for name, head in heads.items()},
        },
        caption,
    )


def searches(found: Mapping[str, Search], caption: str) -> Markdown:
    """What was looked for in all commits, and where it is."""
    return table(
        {
            "a file that": [one.what for one in found.values()],
            "where": [", ".join(map(str, one.found)) or "nowhere" for one in found.values()],
        },
        caption,
    )


def runs(rows: pd.DataFrame, caption: str) -> Markdown:
    """Latency of its three runs by share kept, how far two differ, and the printed throughput beside its own CSV.

    rows   of `lib.report.frames.original.runs`
    """
    shares = frames.where(rows, run=original.CSV)[["variant", "keep"]].itertuples(index=False)
    kinds: Sequence[tuple[str, float]] = [(one.variant, one.keep) for one in shares]
    by = rows.set_index(["run", "variant", "keep"])
    noise, printed = (made(rows).set_index(["variant", "keep"])["difference"] for made in _COMPARED)
    return table(
        {
            "patches kept": [_share(*kind) for kind in kinds],
            "CSV [ms]": [_cell(by, original.CSV, kind, "seconds", 1e3) for kind in kinds],
            "second run [ms]": [_cell(by, original.SECOND, kind, "seconds", 1e3) for kind in kinds],
            "difference": [signed_share(noise[kind], 2) for kind in kinds],
            "third run [ms]": [_cell(by, original.THIRD, kind, "seconds", 1e3) for kind in kinds],
            "printed [images/s]": [_cell(by, original.PRINTED, kind, "throughput") for kind in kinds],
            "CSV [images/s]": [_cell(by, original.CSV, kind, "throughput") for kind in kinds],
            "printed against CSV": [signed_share(printed[kind]) for kind in kinds],
        },
        caption,
    )


def consistency(found: Mapping[str, Any], caption: str) -> Markdown:
    """Same answers and accuracy with half of the patches, by the token that text is read at.

    found   the toy `consistency`
    """
    tokens = ("start", "end")
    return table(
        {
            "text is read at": [f"the {token} token" for token in tokens],
            "classes that are answered": [str(found[token]["answers"]) for token in tokens],
            "same answers": [units.share(found[token]["agreement"]) for token in tokens],
            "accuracy": [f"{100 * found[token]['accuracy']:.1f} %" for token in tokens],
            "accuracy with all patches": [f"{100 * found[token]['unreduced']:.1f} %" for token in tokens],
            "chance": [f"{100 * found['chance']:.1f} %"] * len(tokens),
        },
        caption,
    )


_COMPARED = (original.noise, original.printed)


def _share(variant: str, keep: float) -> str:
    return "all, unreduced encoder" if variant == original.BASELINE else f"{100 * keep:.0f} %, its code"


def _cell(by: pd.DataFrame, run: str, kind: tuple[str, float], column: str, scale: float = 1) -> str:
    return f"{scale * by.at[(run, *kind), column]:.1f}" if (run, *kind) in by.index else "–"
