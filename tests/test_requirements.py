import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
from worktree import shell

from lib import requirements
from lib.paths import LIB


@pytest.fixture
def pyproject(tmp_path):
    path = tmp_path / "pyproject.toml"
    path.write_text('[project]\ndependencies = ["pandas>=2", "numpy<1", "no-such-package>=3", "torch<1"]\n')
    return path


@pytest.fixture
def calls(monkeypatch):
    seen = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: seen.append(command))
    return seen


def test_what_is_absent_or_out_of_bounds_is_missing(pyproject):
    assert requirements.missing(pyproject) == ["numpy<1", "no-such-package>=3", "torch<1"]


def test_nothing_is_missing_here():
    assert requirements.missing() == []


def test_elsewhere_nothing_is_installed_and_the_command_is_named(pyproject, calls, monkeypatch):
    lacking = requirements.missing(pyproject)
    monkeypatch.setattr(requirements, "missing", lambda: lacking)
    with pytest.raises(ModuleNotFoundError, match=r"numpy<1, no-such-package>=3.*make setup"):
        requirements.ensure()
    assert calls == []


def test_what_is_there_is_kept_and_torch_whatever_its_version(pyproject):
    assert requirements.kept(pyproject) == [f"pandas=={version('pandas')}", f"torch=={version('torch')}"]


def test_on_colab_all_but_torch_is_installed_and_what_is_there_is_not_exchanged(pyproject, monkeypatch):
    lacking, kept, calls = requirements.missing(pyproject), requirements.kept(pyproject), []

    def pip(command, check):
        assert check
        calls.append((command, Path(command[command.index("-c") + 1]).read_text().splitlines()))

    monkeypatch.setattr(requirements, "missing", lambda: lacking)
    monkeypatch.setattr(requirements, "kept", lambda: kept)
    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    requirements.ensure()
    ((command, constraints),) = calls
    assert command[-2:] == ["numpy<1", "no-such-package>=3"]
    assert not any(word.startswith("torch") for word in command)
    assert constraints == kept


def test_on_colab_nothing_is_installed_where_nothing_lacks(calls, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    requirements.ensure()
    assert calls == []


def test_a_fork_says_itself_what_it_needs(tmp_path):
    (tmp_path / "lib").mkdir()
    for name in ("__init__", "paths", "colab", "requirements"):
        shutil.copy(LIB / f"{name}.py", tmp_path / "lib")
    script = """
import sys, types
sys.modules["google.colab"] = types.ModuleType("google.colab")
from lib import colab, paths, requirements
def follow():
    with open(requirements.__file__, "w") as file:
        file.write("from lib import paths\\ndef ensure(): print('the fork says', paths.__name__)")
    return True
colab.follow = follow
requirements.ensure()
assert sys.modules["lib.paths"] is not paths
"""
    assert shell(sys.executable, "-c", script, cwd=tmp_path) == "the fork says lib.paths\n"
