"""Where things are. The only module that knows the tree."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

BOOK = ROOT / "book"
LIB = ROOT / "lib"
DATA = ROOT / "data"

ORIGINAL = DATA / "original"
PRESETS = DATA / "presets"
RUNS = Path(os.environ.get("RECORDS_FROM") or DATA / "runs")
# Where a run leaves its record: beside the others, but for one that tries, or that waits until all is well.
WRITTEN = Path(os.environ.get("RECORDS_TO") or RUNS)
CHECKPOINTS = DATA / "checkpoints"

SWEEPS = ROOT / ".sweeps"  # results of single trainings, until a record holds them
