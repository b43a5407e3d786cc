"""The seed report's reproducibility checklist, executed on this book."""

import re
import tomllib
from pathlib import Path

import pandas as pd

from lib.paths import BOOK, ROOT, RUNS, SEED
from lib.records import read

NAME = re.compile(r"^[\w.-]+")


def checklist(root: Path = ROOT) -> pd.DataFrame:
    """Columns item, holds, evidence: one row for every item of the seed's checklist, and for what it leaves out."""
    records = [read(path) for path in sorted(RUNS.glob("*/*.json")) if path.name != "machine.json"]
    chapters, tables = sorted(BOOK.glob("*.ipynb")), sorted(SEED.glob("*.csv"))
    pinned = _pins(root / "constraints.txt")
    wanted = _wanted(root / "pyproject.toml")
    clean = [one for one in records if one.commit and not one.dirty]
    seeded = [one for one in records if one.seed is not None]
    described = [one for one in records if one.environment.packages.get("torch") and one.environment.cpu]
    rows = [
        ("Code and notebooks are in the repository", bool(chapters), f"{len(chapters)} chapters"),
        ("Results are files", bool(records and tables), f"{len(records)} records, {len(tables)} tables of the seed's"),
        ("Figures can be made again", bool(chapters), "every figure is drawn from records when the page is built"),
        ("Random seeds are fixed", len(seeded) == len(records), f"{len(seeded)} of {len(records)} records name theirs"),
        (
            "Dependencies are listed, and pinned",
            wanted <= pinned,
            f"{len(wanted & pinned)} of {len(wanted)} pinned, {len(pinned)} packages in all",
        ),
        (
            "The environment is told",
            len(described) == len(records),
            f"{len(described)} of {len(records)} records tell hardware and versions",
        ),
        (
            "The code that ran is known",
            len(clean) == len(records),
            f"{len(clean)} of {len(records)} records are of a clean commit",
        ),
    ]
    return pd.DataFrame(rows, columns=["item", "holds", "evidence"])


def _pins(path: Path) -> set[str]:
    lines = [line for line in path.read_text().splitlines() if "==" in line]
    return {_plain(line.partition("==")[0]) for line in lines}


def _wanted(path: Path) -> set[str]:
    return {_plain(NAME.match(one)[0]) for one in tomllib.loads(path.read_text())["project"]["dependencies"]}


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "-")
