"""Where things are. The only module that knows the tree."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

BOOK = ROOT / "book"
LIB = ROOT / "lib"
DATA = ROOT / "data"

SEED = DATA / "seed"
PRESETS = DATA / "presets"
RUNS = DATA / "runs"
WRITTEN = Path(
    os.environ.get("RECORDS_TO") or RUNS
)  # where a run leaves its record, for one to try without replacing any
CHECKPOINTS = DATA / "checkpoints"

SWEEPS = ROOT / ".sweeps"  # results of single trainings, until a record holds them
