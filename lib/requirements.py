"""What an interpreter lacks to run a chapter.

Imported before anything is installed, so it imports nothing of third parties but packaging.
"""

import subprocess
import sys
import tomllib
from importlib import import_module, invalidate_caches
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from packaging.requirements import Requirement

from lib import colab
from lib.paths import ROOT, in_repository

TORCH = "torch"  # with the CUDA that this machine's driver knows: whoever runs it has chosen it


def missing(pyproject: Path = ROOT / "pyproject.toml") -> list[str]:
    """Requirements of a pyproject file that are not installed, or installed outside their bounds.

    returns  requirement strings as written there, ready for pip
    raises   FileNotFoundError, saying where to get it, for the file that an installed package lacks
    """
    return [text for text in _wanted(pyproject) if not _met(Requirement(text))]


def kept(pyproject: Path = ROOT / "pyproject.toml") -> list[str]:
    """Requirements that are met, each at the version that is there, and torch whatever its version.

    A running kernel may have loaded them: pip must not exchange one for the sake of another package.
    """
    named = [Requirement(text) for text in _wanted(pyproject)]
    return [f"{one.name}=={version(one.name)}" for one in named if _met(one) or (one.name == TORCH and _has(TORCH))]


def ensure() -> None:
    """On Colab, take the files that the notebook was opened from and install what they need; elsewhere, say what to do.

    torch is never touched.

    raises  ModuleNotFoundError, naming what is missing and the command that helps
    """
    on_colab = "google.colab" in sys.modules
    if on_colab and colab.follow():
        _loaded_anew(__name__).ensure()
        return
    lacking = missing()
    if on_colab:
        _install([text for text in lacking if Requirement(text).name != TORCH])
    elif lacking:
        raise ModuleNotFoundError(
            f"this Python lacks {', '.join(lacking)}; run `make setup` in {ROOT} and use its .venv, "
            f"or `{sys.executable} -m pip install -e {ROOT}`"
        )


def _install(lacking: list[str]) -> None:
    if not lacking:
        return
    print("installing", ", ".join(lacking))
    with TemporaryDirectory() as folder:
        held = Path(folder) / "kept.txt"
        held.write_text("\n".join(kept()))
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", str(held)]
        subprocess.run([*pip, *lacking], check=True)


def _loaded_anew(name: str) -> ModuleType:
    """A module of lib as its file is now, with all that it imports of lib."""
    for one in [one for one in sys.modules if one.split(".")[0] == "lib"]:
        del sys.modules[one]
    invalidate_caches()
    return import_module(name)


def _wanted(pyproject: Path) -> list[str]:
    return tomllib.loads(in_repository(pyproject).read_text())["project"]["dependencies"]


def _has(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _met(requirement: Requirement) -> bool:
    name = requirement.name
    return _has(name) and requirement.specifier.contains(version(name), prereleases=True)
