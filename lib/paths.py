"""Where things are. The only module that knows the tree, and whether it is there: a wheel brings `lib` alone."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = "https://github.com/denis7-jean/ece1512-projectA"
INSTALLED = not (ROOT / "pyproject.toml").is_file()  # without the repository around it

BOOK = ROOT / "book"
LIB = ROOT / "lib"
DATA = ROOT / "data"

SOURCES = (".py", ".cpp", ".h", ".cu", ".cuh")  # code that decides results: whoever asks what changed asks for all

# What decides a result: a change there makes a run dirty. A notebook only passes settings, which the record holds.
MEASURED = ("lib", "pyproject.toml", "constraints.txt", "data/checkpoints", "data/configs", "data/presets")

# In the repository where they belong; in a wheel beside the code, which a link there is for.
CONFIGS = LIB / "configs" if INSTALLED else DATA / "configs"
ORIGINAL = DATA / "original"
PRESETS = DATA / "presets"
RUNS = Path(os.environ.get("RECORDS_FROM") or DATA / "runs")
# Where a run leaves its record: beside the others, but for one that tries, or that waits until all is well.
WRITTEN = Path(os.environ.get("RECORDS_TO") or RUNS)
CHECKPOINTS = DATA / "checkpoints"

# Results of single trainings, until a record holds them: without a repository, in the working folder.
SWEEPS = Path(".sweeps") if INSTALLED else ROOT / ".sweeps"


def in_repository(path: Path) -> Path:
    """A path of the repository, for those who read or write there.

    raises   FileNotFoundError, in one line that says where to get it, for a path that an installed package lacks
    """
    if INSTALLED and path.is_relative_to(ROOT) and not path.exists():
        raise FileNotFoundError(f"{path.relative_to(ROOT)}: {ONLY_IN_REPOSITORY}")
    return path


ONLY_IN_REPOSITORY = (
    f"not part of the installed package; `git clone {REPOSITORY}`, and start Python in that folder, after `make setup`"
)
