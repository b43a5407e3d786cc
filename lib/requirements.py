"""What an interpreter lacks to run a chapter.

Imported before anything is installed, so it imports nothing of third parties but packaging.
"""

import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib import import_module, invalidate_caches
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from packaging.requirements import Requirement

from lib import colab
from lib.paths import ROOT, in_repository

PYPROJECT = ROOT / "pyproject.toml"
TORCH = "torch"  # with the CUDA that this machine's driver knows: whoever runs it has chosen it


def missing(pyproject: Path = PYPROJECT) -> list[str]:
    """Requirements of a pyproject file that are not installed, or installed outside their bounds.

    returns  requirement strings as written there, ready for pip
    raises   FileNotFoundError, saying where to get it, for the file that an installed package lacks
    """
    return [text for text in _wanted(pyproject) if not _met(Requirement(text))]


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
        if lacking := [text for text in lacking if Requirement(text).name != TORCH]:
            install(lacking)
    elif lacking:
        raise ModuleNotFoundError(
            f"this Python lacks {', '.join(lacking)}; run `make setup` in {ROOT} and use its .venv, "
            f"or `{sys.executable} -m pip install -e {ROOT}`"
        )


def install(lacking: list[str]) -> None:
    """Install requirements, torch held at its version, the others of ours too unless pip finds no way without.

    raises  RuntimeError, in one line, where pip fails, or where this session has loaded what had to be exchanged
    """
    print("installing", ", ".join(lacking))
    named = [Requirement(text).name for text in _wanted()]
    before = {name: version(name) for name in named if _has(name)}
    torch = {name: there for name, there in before.items() if name == TORCH}
    met = {name: there for name, there in before.items() if name not in {Requirement(text).name for text in lacking}}
    if _pip(lacking, met).returncode and (failed := _pip(lacking, torch)).returncode:
        reason = (failed.stderr.strip().splitlines() or ["it does not say why"])[-1]
        raise RuntimeError(f"pip cannot install {', '.join(lacking)}: {reason}")
    invalidate_caches()
    exchanged = {name: there for name, there in before.items() if version(name) != there and _is_loaded(name)}
    if exchanged:
        changes = ", ".join(f"{name} {there} -> {version(name)}" for name, there in exchanged.items())
        raise RuntimeError(f"exchanged while it was loaded: {changes}; restart the session and run the notebook again")


def _pip(lacking: list[str], held: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """One try of pip, which may not change the versions that are held."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "held.txt"
        file.write_text("".join(f"{name}=={there}\n" for name, there in held.items()))
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", str(file)]
        return subprocess.run([*pip, *lacking], capture_output=True, text=True)


def _is_loaded(name: str) -> bool:
    """Whether this session has imported a package of a distribution."""
    packages = {package for package, owners in packages_distributions().items() if name in owners}
    return bool(packages & sys.modules.keys())


def _loaded_anew(name: str) -> ModuleType:
    """A module of lib as its file is now, with all that it imports of lib."""
    for one in [one for one in sys.modules if one.split(".")[0] == "lib"]:
        del sys.modules[one]
    invalidate_caches()
    return import_module(name)


def _wanted(pyproject: Path = PYPROJECT) -> list[str]:
    return tomllib.loads(in_repository(pyproject).read_text())["project"]["dependencies"]


def _has(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _met(requirement: Requirement) -> bool:
    name = requirement.name
    return _has(name) and requirement.specifier.contains(version(name), prereleases=True)
