"""What the hosted workflows run of others: actions by commit, packages as pinned, permissions as few as are needed."""

import re

import pytest
import yaml

from lib.paths import ROOT

PATHS = sorted((ROOT / ".github/workflows").glob("*.yml"))
USES = re.compile(r"^\s*(?:- )?uses:\s*(.*)$", re.MULTILINE)
BY_COMMIT = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def floating(text):
    """Actions of a workflow that are not named by a commit, with the version beside it."""
    return [one for one in USES.findall(text) if not BY_COMMIT.fullmatch(one)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_action_is_named_by_a_commit(path):
    assert USES.search(path.read_text())
    assert floating(path.read_text()) == []


@pytest.mark.parametrize(
    "named", ["a/b@v4", "a/b@main", "a/b", f"a/b@{'0' * 39} # v1.0.0", f"a/b@{'0' * 40}", "./local", "docker://a"]
)
def test_an_action_by_tag_or_branch_is_found(named):
    assert floating(f"    steps:\n      - uses: {named}\n") == [named]


def test_one_action_is_of_one_version_everywhere():
    found = {tuple(one.split("@")) for path in PATHS for one in USES.findall(path.read_text())}
    assert len(found) == len({name for name, _ in found})


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_workflow_may_read_and_no_more_unless_a_job_says_so(path):
    assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}


def test_a_package_that_pip_is_told_of_runs_nothing_while_it_is_installed():
    commands = [line for path in PATHS for line in path.read_text().splitlines() if "pip install" in line]
    assert [line for line in commands if "--only-binary :all:" not in line] == []
