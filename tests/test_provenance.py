"""Provenance: which folder a machine's records go to, and whether a commit vouches for the code that runs."""

import os
import platform
import shutil
import subprocess

import pytest
import torch

from lib import provenance
from lib.paths import MEASURED, ROOT
from lib.provenance import Environment, commit, environment, slug


@pytest.mark.parametrize(
    ("hardware", "folder"),
    [
        ("AMD EPYC 2 cores", "amd-epyc-2-cores"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz 2 cores", "intel-xeon-2-cores"),
        ("Tesla T4", "tesla-t4"),
        ("NVIDIA H200", "nvidia-h200"),
    ],
)
def test_a_machines_folder_is_its_hardware(hardware, folder):
    assert slug(hardware) == folder


def test_the_environment_describes_this_machine():
    here = environment("cpu")
    assert here.machine == slug(f"{here.cpu} {here.cores} cores")
    assert here.gpu is None
    assert here.memory_bytes > 2**28


def test_processors_that_share_a_brand_are_distinguished(tmp_path):
    """Two generations that a virtual machine calls "AMD EPYC" alike; what Linux prints of them is a sample here."""
    said = {}
    for family, model in ((23, 1), (26, 2)):
        cpuinfo = tmp_path / f"cpuinfo-{family}"
        held = f"vendor_id\t: AuthenticAMD\ncpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: AMD EPYC\n"
        cpuinfo.write_text(2 * held)
        said[family] = provenance._processor(cpuinfo)
    assert said[23] == f"AuthenticAMD, family 23, model 1, {torch.backends.cpu.get_cpu_capability()}"
    assert said[26].startswith("AuthenticAMD, family 26, model 2, ")
    assert provenance._processor(tmp_path / "none").startswith(f"{platform.machine()}, ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("machine", "../up"),
        ("machine", "Tesla T4"),
        ("cores", 0),
        ("cores", 2.0),
        ("cores", True),
        ("cpu", " \n "),
        ("memory_bytes", 10**30),
        ("threads", "2"),
        ("tf32_matmul", 1),
        ("packages", {}),
        ("packages", {"torch": 2}),
    ],
)
def test_an_environment_that_cannot_be_is_refused_by_its_field(field, value):
    held = environment("cpu").model_dump()
    with pytest.raises(ValueError, match=field):
        Environment.model_validate(held | {field: value})


def git(folder, *words):
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", folder, *words],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def ours(tmp_path):
    """A small repository of our layout, all of it committed."""
    root = tmp_path / "ours"
    for name in ("lib/a.py", "lib/models/b.cpp", "data/checkpoints/c.safetensors", "data/presets/mrss/cpu.yml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("1\n")
    for name in ("pyproject.toml", "constraints.txt", "data/configs/o/m.json", "README.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("1\n")
    (root / "lib/configs").symlink_to("../data/configs")
    git(tmp_path, "init", "-q", root)
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    return root


def test_a_committed_tree_is_clean_and_its_commit_is_named(ours):
    assert commit(ours) == (git(ours, "rev-parse", "HEAD"), False)


@pytest.mark.parametrize("place", ["data/new.json", "book/_text/mrss/abstract.md", "tests/test_new.py", "README.md"])
def test_what_decides_no_result_leaves_a_run_clean(ours, place):
    (ours / place).parent.mkdir(parents=True, exist_ok=True)
    (ours / place).write_text("2")
    assert not commit(ours)[1]


@pytest.mark.parametrize("place", ["lib/__pycache__/a.pyc", "lib/.a.py.swp", "lib/models/__pycache__/x.pyc"])
def test_what_python_and_editors_leave_is_no_change(ours, place):
    (ours / place).parent.mkdir(parents=True, exist_ok=True)
    (ours / place).write_text("2")
    assert not commit(ours)[1]


CHANGES = {
    "code": ("lib/a.py", "2\n"),
    "other code": ("lib/models/b.cpp", "2\n"),
    "a new file": ("lib/new.py", "2\n"),
    "bounds": ("pyproject.toml", "2\n"),
    "pins": ("constraints.txt", "2\n"),
    "a checkpoint": ("data/checkpoints/c.safetensors", "2\n"),
    "a new checkpoint": ("data/checkpoints/d/model.safetensors", "2\n"),
    "a preset": ("data/presets/mrss/cpu.yml", "2\n"),
    "a model's sizes": ("data/configs/o/m.json", "2\n"),
    "a file that is gone": ("lib/a.py", None),
    "a checkpoint that is gone": ("data/checkpoints/c.safetensors", None),
}


@pytest.mark.parametrize("what", CHANGES)
def test_all_that_decides_a_result_counts(ours, what):
    place, content = CHANGES[what]
    (ours / place).parent.mkdir(parents=True, exist_ok=True)
    (ours / place).unlink() if content is None else (ours / place).write_text(content)
    assert commit(ours)[1]
    git(ours, "add", "-A")
    assert commit(ours)[1]  # staged is not committed


def test_a_link_that_leads_elsewhere_counts(ours):
    (ours / "lib/configs").unlink()
    (ours / "lib/configs").symlink_to("../data/presets")
    assert commit(ours)[1]


def overlook(root, how):
    """Tell git to see no change of lib/a.py, or none at all."""
    match how:
        case "assumed unchanged":
            git(root, "update-index", "--assume-unchanged", "lib/a.py")
        case "skipped":
            git(root, "update-index", "--skip-worktree", "lib/a.py")
        case "file system monitor":
            monitor = root / ".git/monitor"
            monitor.write_text("#!/bin/sh\nprintf 'token\\0'\n")
            monitor.chmod(0o755)
            git(root, "config", "core.fsmonitor", str(monitor))
            git(root, "status")
        case "untracked files not shown":
            git(root, "config", "status.showUntrackedFiles", "no")
        case "ignored":
            (root / ".git/info/exclude").write_text("*.py\nlib/\n")


@pytest.mark.parametrize("place", ["lib/a.py", "lib/new.py"])
@pytest.mark.parametrize(
    "how", ["assumed unchanged", "skipped", "file system monitor", "untracked files not shown", "ignored"]
)
def test_what_git_was_told_to_overlook_counts(ours, how, place):
    overlook(ours, how)
    assert not commit(ours)[1]
    (ours / place).write_text("2\n")
    assert commit(ours)[1]


@pytest.mark.parametrize("where", ["at its top", "below it", "ignored by it"])
def test_a_copy_in_a_repository_of_others_is_not_vouched_for_by_it(ours, tmp_path, where):
    others = tmp_path / "others"
    git(tmp_path, "init", "-q", others)
    git(others, "commit", "-qm", "one", "--allow-empty")
    if where == "ignored by it":
        (others / ".git/info/exclude").write_text("*\n")
    copy = others / "copy" if where == "below it" else others
    shutil.copytree(ours, copy, ignore=shutil.ignore_patterns(".git"), symlinks=True, dirs_exist_ok=True)
    assert commit(copy) == (None, True)


def test_a_repository_around_an_installed_package_does_not_vouch_for_it(tmp_path):
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-qm", "one", "--allow-empty")
    assert len(commit(tmp_path)[0]) == 40
    (tmp_path / "site-packages").mkdir()
    assert commit(tmp_path / "site-packages") == (None, True)


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"])
def test_what_a_shell_says_of_another_repository_is_not_heard(ours, tmp_path, name, monkeypatch):
    git(tmp_path, "init", "-q", "others")
    monkeypatch.setenv(name, str(tmp_path / "others" / ("" if name == "GIT_WORK_TREE" else ".git")))
    clean = commit(ours)
    monkeypatch.delenv(name)
    assert clean == (git(ours, "rev-parse", "HEAD"), False)


@pytest.mark.parametrize("how", ["worktree", "shallow clone", "submodule"])
def test_every_kind_of_checkout_is_vouched_for_by_its_own_commit(ours, tmp_path, how):
    other = tmp_path / "a reader's café"
    match how:
        case "worktree":
            git(ours, "worktree", "add", "-q", "-b", "other", other)
        case "shallow clone":
            git(tmp_path, "clone", "-q", "--depth", "1", ours.as_uri(), other)
        case "submodule":
            git(tmp_path, "init", "-q", "around")
            git(tmp_path / "around", "-c", "protocol.file.allow=always", "submodule", "add", "-q", ours, "inner")
            other = tmp_path / "around/inner"
    assert commit(other) == (git(ours, "rev-parse", "HEAD"), False)
    (other / "lib/a.py").write_text("2\n")
    assert commit(other)[1]


def test_lines_that_end_as_on_windows_are_no_change(ours):
    (ours / "lib/a.py").write_bytes(b"1\r\n")
    assert not commit(ours)[1]


def test_without_a_repository_nothing_vouches_for_the_code(tmp_path):
    assert commit(tmp_path) == (None, True)


def test_without_git_nothing_vouches_for_the_code(ours, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit(ours) == (None, True)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs a folder of another user")
def test_a_repository_that_git_refuses_vouches_for_nothing(ours, monkeypatch):
    for path in [ours, *ours.rglob("*")]:
        os.chown(path, 12345, 12345, follow_symlinks=False)
    for name in ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL"):  # where an owner could be trusted
        monkeypatch.setenv(name, str(ours / "none"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    assert commit(ours) == (None, True)


def test_what_decides_a_result_is_there():
    assert [place for place in MEASURED if not (ROOT / place).exists()] == []
