"""Jupyter Book 2 ends with what to install instead; it would otherwise build nothing and report success."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from lib.paths import ROOT

GUARD = "book/_ext/guard.mjs"
(MESSAGE,) = re.findall(r"'(.*)\\n'", (ROOT / GUARD).read_text())
VERSION_2 = os.environ.get("JUPYTER_BOOK_2")
needs_version_2 = pytest.mark.skipif(
    not VERSION_2,
    reason="needs Jupyter Book 2: install 'jupyter-book>=2' in an environment of its own, with Node.js, "
    "and set JUPYTER_BOOK_2 to the path of its jupyter-book",
)
COMMANDS = [
    "",
    "build",
    "build .",
    "build --html",
    "build --all",
    "build book/page.md",
    "start",
    "clean --all --yes",
    "init",
    "init --project",
    "templates list",
    "templates download site/myst/book-theme",
]


@pytest.fixture
def book(tmp_path):
    """The guard over a book of one page that was built before."""
    (tmp_path / GUARD).parent.mkdir(parents=True)
    (tmp_path / "_build/html").mkdir(parents=True)
    shutil.copy(ROOT / "myst.yml", tmp_path)
    shutil.copy(ROOT / GUARD, tmp_path / GUARD)
    (tmp_path / "book/page.md").write_text("# A page\n")
    (tmp_path / "_build/html/page.html").write_text("built by version 1")
    return tmp_path


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(folder, command):
    # Without the guard some commands ask a question or serve until stopped.
    return subprocess.run(
        [Path(VERSION_2).absolute(), *command.split()],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )


def test_the_guard_names_the_version_that_pyproject_asks_for():
    (wanted,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["book"]
    assert re.findall(r'pip install "(.*)"', MESSAGE) == [wanted]


def test_version_2_finds_the_guard_and_nothing_else():
    assert yaml.safe_load((ROOT / "myst.yml").read_text()) == {"version": 1, "project": {"plugins": [GUARD]}}


@pytest.mark.limit(
    "machines",
    "Jupyter Book 2",
    "It does not read _config.yml. Install version 1; the message says how.",
)
@needs_version_2
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command or "no command")
def test_every_command_of_version_2_stops_with_what_to_install(book, command):
    before = contents(book)
    ended = run(book, command)
    assert ended.returncode == 1
    assert ended.stderr == MESSAGE + "\n"
    assert contents(book) == before


@needs_version_2
def test_version_2_stops_in_the_folder_of_the_chapters_too(book):
    ended = run(book / "book", "build page.md")
    assert (ended.returncode, ended.stderr) == (1, MESSAGE + "\n")
