"""Where things are. The only module that knows the tree."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

BOOK = ROOT / "book"
LIB = ROOT / "lib"
DATA = ROOT / "data"

SEED = DATA / "seed"
PRESETS = DATA / "presets"
RUNS = DATA / "runs"
CHECKPOINTS = DATA / "checkpoints"

SWEEPS = ROOT / ".sweeps"  # results of single trainings, until a record holds them
