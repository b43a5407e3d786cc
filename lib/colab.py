"""On Colab: the repository that a notebook was opened from, where that is a fork or another branch.

The set-up cell clones the one address, since it knows no other. Colab's own Jupyter server knows where the notebook
came from. Loaded before anything is installed, so it imports nothing of third parties.
"""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote
from urllib.request import ProxyHandler, build_opener

from lib.paths import REPOSITORY, ROOT

SERVER = "http://{COLAB_JUPYTER_IP}:{KMP_TARGET_PORT}/api/sessions"  # variables that Colab sets
SECONDS, BYTES = 2, 2**20  # what an answer may take: it is a page of text, from the same machine
FETCHING = 120  # seconds, of a repository of 30 MB
# A notebook of GitHub, as Colab's server names it. What git is given has no space, no colon, no leading dash, no "..".
ADDRESS, BRANCH = r"https://github\.com/\w[\w-]*/(?!\.)[\w.-]+", r"(?![/.-])(?!.*\.\.)[\w./-]+"
OPENED = re.compile(rf"fileId=({ADDRESS})/blob/({BRANCH})/book/[\w-]+\.ipynb", re.ASCII)
# What asking ends with where there is no Colab, or one that answers otherwise than we know it.
UNKNOWN = (KeyError, TypeError, AttributeError, ValueError, RecursionError, OSError, HTTPException)
NEEDED = "lib/requirements.py"  # without it a tree is not this project's
FOLLOWED = "colab.opened"  # git's setting: what this clone was changed to


@dataclass(frozen=True)
class Opened:
    """Where a notebook was opened from: a repository's address, and a branch, a tag or a commit."""

    address: str
    branch: str

    def __str__(self) -> str:
        return f"{self.address}, branch {self.branch}"


def opened(environment: Mapping[str, str] = os.environ, kernel: str | None = None) -> Opened | None:
    """Where the notebook was opened from, or None where nobody knows, or where it is not on GitHub.

    kernel   the path of this kernel's connection file, which tells the notebooks of one machine apart
    """
    name = Path(_connection_file() if kernel is None else kernel).stem
    try:
        with build_opener(ProxyHandler({})).open(SERVER.format_map(environment), timeout=SECONDS) as answer:
            sessions = json.loads(answer.read(BYTES))
        paths = [(name.endswith(one["kernel"]["id"]), unquote(one["path"])) for one in sessions]
    except UNKNOWN:
        return None
    own = [path for is_own, path in paths if is_own] or [path for _, path in paths]
    found = {Opened(*match.groups()) for path in own if (match := OPENED.fullmatch(path))}
    return found.pop() if len(found) == 1 else None


def follow(root: Path = ROOT) -> bool:
    """Give the set-up cell's clone the files of the repository that the notebook was opened from; say so in one line.

    returns  whether files changed: then what is loaded of lib is that of another repository
    """
    if (source := opened()) is None or not _is_ours(root):
        return False
    if source == Opened(REPOSITORY, _git(root, "symbolic-ref", "--short", "HEAD").stdout.strip()):
        return False
    if _git(root, "config", FOLLOWED).stdout.strip() == str(source):
        return False
    for step in (
        ("fetch", "--quiet", "--depth", "1", source.address, source.branch),
        ("cat-file", "-e", f"FETCH_HEAD:{NEEDED}"),
        ("checkout", "--quiet", "--detach", "FETCH_HEAD"),
        ("config", FOLLOWED, str(source)),
    ):
        done = _git(root, *step)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
            print(f"opened from {source}: git {step[0]} ends with {reason!r}; using {REPOSITORY}")
            return False
    print(f"opened from {source}: using its files")
    return True


def _is_ours(root: Path) -> bool:
    """Whether the set-up cell made this clone: somebody's own is left as it is."""
    origin = _git(root, "config", "remote.origin.url").stdout.strip()
    return origin == REPOSITORY and _git(root, "rev-parse", "--is-shallow-repository").stdout.strip() == "true"


def _git(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of git that asks nobody for a password and ends in time."""
    silent = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    command = ["git", "-C", str(root), *words]
    try:
        return subprocess.run(
            command, env=silent, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=FETCHING
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def _connection_file() -> str:
    """This kernel's connection file; nothing outside a kernel."""
    try:
        from ipykernel.connect import get_connection_file

        return get_connection_file()
    except (ImportError, RuntimeError):
        return ""
