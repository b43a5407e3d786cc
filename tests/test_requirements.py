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


class Pip:
    """Stands in for pip: notes what it is asked for, and ends with the next of the given codes."""

    def __init__(self, *ends):
        self.ends, self.asked, self.held = list(ends), [], []

    def __call__(self, command, **_):
        self.asked.append(command)
        self.held.append(Path(command[command.index("-c") + 1]).read_text().split())
        end = self.ends.pop(0) if self.ends else 0
        return subprocess.CompletedProcess(command, end, "", "ERROR: no way\nERROR: at all" if end else "")


@pytest.fixture
def pip(monkeypatch):
    """A stand-in that succeeds; its `ends` may be changed."""
    stand_in = Pip()
    monkeypatch.setattr(subprocess, "run", stand_in)
    return stand_in


@pytest.fixture
def colab(pyproject, monkeypatch):
    """This session is on Colab, and lacks what that pyproject file asks for."""
    wanted = requirements._wanted
    lacking = requirements.missing(pyproject)
    monkeypatch.setattr(requirements, "missing", lambda: lacking)
    monkeypatch.setattr(requirements, "_wanted", lambda: wanted(pyproject))
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))


def test_what_is_absent_or_out_of_bounds_is_missing(pyproject):
    assert requirements.missing(pyproject) == ["numpy<1", "no-such-package>=3", "torch<1"]


def test_nothing_is_missing_here():
    assert requirements.missing() == []


def test_elsewhere_nothing_is_installed_and_the_command_is_named(pyproject, pip, monkeypatch):
    lacking = requirements.missing(pyproject)
    monkeypatch.setattr(requirements, "missing", lambda: lacking)
    with pytest.raises(ModuleNotFoundError, match=r"numpy<1, no-such-package>=3.*make setup"):
        requirements.ensure()
    assert pip.asked == []


def test_on_colab_all_but_torch_is_installed_and_what_is_there_is_held(colab, pip):
    requirements.ensure()
    assert [command[-2:] for command in pip.asked] == [["numpy<1", "no-such-package>=3"]]
    assert not any(word.startswith("torch") for word in pip.asked[0])
    assert pip.held == [[f"pandas=={version('pandas')}", f"torch=={version('torch')}"]]


def test_where_pip_finds_no_way_only_torch_is_held(colab, pip):
    pip.ends = [1, 0]
    requirements.ensure()
    assert pip.held[1] == [f"torch=={version('torch')}"]
    assert pip.asked[1][-2:] == ["numpy<1", "no-such-package>=3"]


def test_where_pip_fails_its_last_line_is_told(colab, pip):
    pip.ends = [1, 1]
    with pytest.raises(RuntimeError, match=r"pip cannot install numpy<1, no-such-package>=3: ERROR: at all$"):
        requirements.ensure()


def test_what_was_exchanged_while_it_was_loaded_asks_for_a_restart(colab, pip, monkeypatch):
    versions = {name: iter([version(name), "0.1", "0.1"]) for name in ("pandas", "numpy", "torch")}
    monkeypatch.setattr(requirements, "_has", lambda name: name in versions)
    monkeypatch.setattr(requirements, "version", lambda name: next(versions[name]))
    monkeypatch.setattr(requirements, "_is_loaded", lambda name: name == "pandas")
    with pytest.raises(RuntimeError, match=rf"loaded: pandas {version('pandas')} -> 0\.1; restart the session"):
        requirements.ensure()


def test_a_loaded_package_is_known_by_its_distribution(monkeypatch):
    monkeypatch.setattr(requirements, "packages_distributions", lambda: {"PIL": ["pillow"], "nowhere": ["other"]})
    monkeypatch.setitem(sys.modules, "PIL", ModuleType("PIL"))
    assert requirements._is_loaded("pillow")
    assert not requirements._is_loaded("other")


def test_on_colab_nothing_is_installed_where_nothing_lacks(pip, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    requirements.ensure()
    assert pip.asked == []


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
