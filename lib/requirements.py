"""What an interpreter lacks to run a chapter.

Imported before anything is installed, so it imports nothing of third parties but packaging.
"""

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from lib.paths import ROOT, in_repository


def missing(pyproject: Path = ROOT / "pyproject.toml") -> list[str]:
    """Requirements of a pyproject file that are not installed, or installed outside their bounds.

    returns  requirement strings as written there, ready for pip
    raises   FileNotFoundError, saying where to get it, for the file that an installed package lacks
    """
    wanted = tomllib.loads(in_repository(pyproject).read_text())["project"]["dependencies"]
    return [text for text in wanted if not _met(Requirement(text))]


def ensure() -> None:
    """On Colab, install what is missing; torch is never touched. Elsewhere, say what to do.

    raises  ModuleNotFoundError, naming what is missing and the command that helps
    """
    lacking = missing()
    if "google.colab" in sys.modules:
        lacking = [text for text in lacking if Requirement(text).name != "torch"]
        if lacking:
            print("installing", ", ".join(lacking))
            subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *lacking], check=True)
    elif lacking:
        raise ModuleNotFoundError(
            f"this Python lacks {', '.join(lacking)}; run `make setup` in {ROOT} and use its .venv, "
            f"or `{sys.executable} -m pip install -e {ROOT}`"
        )


def _met(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False
