"""Where a notebook was opened from, and what becomes of the clone: the server and GitHub are played here."""

import socket
import time

import pytest
from colab_server import colab_server, of_github, session
from worktree import shell

from lib import colab
from lib.colab import Opened, follow, opened
from lib.paths import REPOSITORY

FORK = Opened("https://github.com/a-student/my-fork", "main")
FORKED = of_github("a-student/my-fork")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (FORKED, FORK),
        ("fileId=https://github.com/a-student/my-fork/blob/main/book/mrss.ipynb", FORK),
        ("fileId=https%3A//github.com/a-student/my-fork/blob/main/book/mrss.ipynb", FORK),
        (of_github("a-student/my-fork", "mine/v1.2"), Opened(FORK.address, "mine/v1.2")),
        (of_github(REPOSITORY.removeprefix("https://github.com/")), Opened(REPOSITORY, "main")),
    ],
)
def test_a_notebook_of_github_tells_its_repository_and_branch(path, source):
    with colab_server([session(path)]) as environment:
        assert opened(environment, kernel="") == source


@pytest.mark.parametrize(
    "path",
    [
        "fileId=1ZAqQEIxR08eODSPEHvKPwbZoioVdV8L9",  # a copy in somebody's Drive
        "mrss.ipynb",
        "",
        "fileId=https://example.org/a/b/blob/main/book/mrss.ipynb",
        "fileId=https://github.com.example.org/a/b/blob/main/book/mrss.ipynb",
        "fileId=https://github.com/a/b/blob/main/other/mrss.ipynb",
        of_github("--upload-pack=x/b"),
        of_github("a/.."),
        of_github("a/b", "--upload-pack=touch"),
        of_github("a/b", "main:refs/heads/main"),
        of_github("a/b", "../../c"),
        of_github("a/b", "main; touch x"),
        of_github("a/b", "main\n"),
        of_github("a/ü"),
    ],
)
def test_what_is_not_plainly_a_notebook_of_github_tells_nothing(path):
    with colab_server([session(path)]) as environment:
        assert opened(environment, kernel="") is None


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", b"[", b"\xff\xfe", b"[" * 10_000, [], {}, None, 3, [3], [{}], [{"kernel": 3, "path": FORKED}],
     [session(3)], [session(FORKED, 3)], {"sessions": [session(FORKED)]}],
)  # fmt: skip
def test_nonsense_tells_nothing(answer):
    with colab_server(answer) as environment:
        assert opened(environment, kernel="") is None


def test_a_server_that_refuses_tells_nothing():
    with colab_server([session(FORKED)], status=403) as environment:
        assert opened(environment, kernel="") is None


def test_a_server_that_does_not_answer_in_time_tells_nothing(monkeypatch):
    monkeypatch.setattr(colab, "SECONDS", 0.2)
    with colab_server([session(FORKED)], late=True) as environment:
        start = time.monotonic()
        assert opened(environment, kernel="") is None
        assert time.monotonic() - start < 1.5


def test_without_a_server_nobody_knows():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # nobody listens
        port = str(free.getsockname()[1])
        assert opened({"COLAB_JUPYTER_IP": "127.0.0.1", "KMP_TARGET_PORT": port}, kernel="") is None
    assert opened({}, kernel="") is None
    assert opened({"COLAB_JUPYTER_IP": "no such host/", "KMP_TARGET_PORT": "x"}, kernel="") is None


def test_of_several_notebooks_the_kernels_own_counts():
    other = session(of_github("somebody/else"), kernel="1b2c")
    with colab_server([other, session(FORKED, kernel="0a1b")]) as environment:
        assert opened(environment, kernel="/root/runtime/kernel-0a1b.json") == FORK
        assert opened(environment, kernel="/root/runtime/kernel-ffff.json") is None  # which of them?
    with colab_server([session(FORKED, "1"), session(FORKED, "2")]) as environment:
        assert opened(environment, kernel="") == FORK


@pytest.fixture
def github(tmp_path, monkeypatch):
    """Git reaches repositories in a folder by the addresses that they would have: `push(address, branch, files)`."""
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f'[url "{(tmp_path / "hub").as_uri()}/"]\n    insteadOf = https://github.com/\n'
        "[user]\n    name = t\n    email = t@t\n"
        "[init]\n    defaultBranch = main\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))

    def push(address, branch, **files):
        place = tmp_path / "hub" / address.removeprefix("https://github.com/")
        if not place.exists():
            shell("git", "init", "-q", place)
        shell("git", "checkout", "-q", "--orphan", branch, cwd=place)
        for name, text in files.items():
            (place / "lib").mkdir(exist_ok=True)
            (place / "lib" / f"{name}.py").write_text(text)
        shell("git", "add", "-A", cwd=place)
        shell("git", "commit", "-qm", "all", cwd=place)

    push(REPOSITORY, "main", requirements="ours")
    return push


@pytest.fixture
def clone(github, tmp_path):
    """What the set-up cell makes."""
    shell("git", "clone", "-q", "--depth", "1", REPOSITORY, tmp_path / "clone")
    return tmp_path / "clone"


def from_(monkeypatch, source):
    monkeypatch.setattr(colab, "opened", lambda: source)


def content(clone):
    return (clone / "lib/requirements.py").read_text()


def test_the_clone_gets_the_files_of_the_fork_and_says_so_once(github, clone, monkeypatch, capsys):
    github(FORK.address, "main", requirements="the fork's")
    from_(monkeypatch, FORK)
    assert follow(clone)
    assert content(clone) == "the fork's"
    assert capsys.readouterr().out == f"opened from {FORK}: using its files\n"
    assert not follow(clone)  # the cell runs again: nothing to do, nothing to say
    assert capsys.readouterr().out == ""


def test_a_branch_is_followed_too(github, clone, monkeypatch):
    github(REPOSITORY, "mine/v2", requirements="of a branch")
    from_(monkeypatch, Opened(REPOSITORY, "mine/v2"))
    assert follow(clone)
    assert content(clone) == "of a branch"


@pytest.mark.parametrize("source", [None, Opened(REPOSITORY, "main")], ids=["unknown", "the one address"])
def test_the_one_address_stays_where_nothing_else_is_known(clone, monkeypatch, capsys, source):
    from_(monkeypatch, source)
    assert not follow(clone)
    assert content(clone) == "ours"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("fork", "reason"),
    [
        (None, "git fetch ends with"),
        (("other", {"requirements": "x"}), 'git fetch ends with "fatal: couldn\'t find remote ref main"'),
        (("main", {"unrelated": "x"}), "git cat-file ends with"),
    ],
    ids=["no repository", "no branch", "another project"],
)
def test_a_fork_that_does_not_serve_leaves_the_one_address_and_one_line(
    github, clone, monkeypatch, capsys, fork, reason
):
    if fork:
        github(FORK.address, fork[0], **fork[1])
    from_(monkeypatch, FORK)
    assert not follow(clone)
    assert content(clone) == "ours"
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"opened from {FORK}: {reason}")
    assert line.endswith(f"; using {REPOSITORY}")


def test_changes_of_the_reader_are_not_overwritten(github, clone, monkeypatch, capsys):
    github(FORK.address, "main", requirements="the fork's")
    from_(monkeypatch, FORK)
    (clone / "lib/requirements.py").write_text("changed by hand")
    assert not follow(clone)
    assert content(clone) == "changed by hand"
    assert "git checkout ends with" in capsys.readouterr().out


def test_a_clone_of_somebodys_own_is_left_as_it_is(github, clone, tmp_path, monkeypatch):
    github(FORK.address, "main", requirements="the fork's")
    github("https://github.com/b/c", "main", requirements="another's")
    shell("git", "clone", "-q", REPOSITORY, tmp_path / "whole")
    shell("git", "clone", "-q", "--depth", "1", "https://github.com/b/c", tmp_path / "other")
    from_(monkeypatch, FORK)
    assert not follow(tmp_path / "whole")
    assert not follow(tmp_path / "other")
    assert content(tmp_path / "other") == "another's"


def test_without_git_the_clone_stays(clone, monkeypatch, capsys):
    from_(monkeypatch, FORK)
    monkeypatch.setenv("PATH", "")
    assert not follow(clone)
    assert content(clone) == "ours"
