"""The original report's reproducibility checklist, executed on this book."""

import re
import tomllib
from pathlib import Path

import pandas as pd

from lib.paths import BOOK, ORIGINAL, ROOT, RUNS
from lib.records import read

NAME = re.compile(r"^[\w.-]+")
FIGURE = re.compile(r"\bFigure (\d+)\. ")  # as its caption begins


def figures(notebook: str) -> set[int]:
    """Numbers of the figures of a notebook's text, by their captions: what a reader counts."""
    return set(map(int, FIGURE.findall(notebook)))


def checklist(root: Path = ROOT, runs: Path = RUNS) -> pd.DataFrame:
    """Columns item, holds, evidence: one row for every item of the original's checklist, and for what it leaves out."""
    records = [read(path) for path in sorted(runs.glob("*/*.json")) if path.name != "machine.json"]
    chapters, tables = sorted(BOOK.glob("*.ipynb")), sorted(ORIGINAL.glob("*.csv"))
    texts = [path.read_text() for path in chapters]
    drawn, stored = sum(len(figures(text)) for text in texts), sum(text.count('"image/') for text in texts)
    discussed = sum("## Discussion" in text for text in texts)
    pinned = _pins(root / "constraints.txt")
    wanted = _wanted(root / "pyproject.toml")
    clean = [one for one in records if one.commit and not one.dirty]
    seeded = [one for one in records if one.seed is not None]
    described = [one for one in records if one.environment.packages.get("torch") and one.environment.cpu]
    small = [one for one in records if "T4" in (one.environment.gpu or "")]
    every = len(records)
    rows = [
        ("Code and notebooks are in the repository", bool(chapters), f"chapters: {len(chapters)}"),
        ("Results are files", bool(records and tables), f"records: {every}; tables as printed: {len(tables)}"),
        (
            "Figures can be made again",
            drawn > 0 and not stored,
            f"drawn when a page is built: {drawn}; stored: {stored}",
        ),
        ("Random seeds are fixed", all_of(seeded, records), f"records that name theirs: {len(seeded)} of {every}"),
        (
            "Dependencies are listed, and pinned",
            wanted <= pinned,
            f"pinned: {len(wanted & pinned)} of {len(wanted)}, and {len(pinned)} packages in all",
        ),
        (
            "The environment is described",
            all_of(described, records),
            f"records that name hardware and versions: {len(described)} of {every}",
        ),
        ("The code that ran is known", all_of(clean, records), f"records of a clean commit: {len(clean)} of {every}"),
        (
            "Each part has experiment, analysis, conclusion",
            discussed == len(chapters),
            f"chapters that discuss what they measured: {discussed} of {len(chapters)}",
        ),
        (
            "It runs on Colab's T4",
            bool(small),
            f"records of a T4: {len(small)} of {every}; chapters have presets and a set-up cell for one",
        ),
    ]
    return pd.DataFrame(rows, columns=["item", "holds", "evidence"])


def all_of(some: list, every: list) -> bool:
    """All of them, and there are some."""
    return len(some) == len(every) > 0


def _pins(path: Path) -> set[str]:
    lines = [line for line in path.read_text().splitlines() if "==" in line]
    return {_plain(line.partition("==")[0]) for line in lines}


def _wanted(path: Path) -> set[str]:
    return {_plain(NAME.match(one)[0]) for one in tomllib.loads(path.read_text())["project"]["dependencies"]}


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "-")
