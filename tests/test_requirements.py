import subprocess
import sys
from types import ModuleType

import pytest

from lib import requirements


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


def test_on_colab_all_but_torch_is_installed(pyproject, calls, monkeypatch):
    lacking = requirements.missing(pyproject)
    monkeypatch.setattr(requirements, "missing", lambda: lacking)
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    requirements.ensure()
    (command,) = calls
    assert command[-2:] == ["numpy<1", "no-such-package>=3"]
    assert not any(word.startswith("torch") for word in command)
