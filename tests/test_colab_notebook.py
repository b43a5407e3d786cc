"""Colab, rehearsed: an empty folder, a notebook of a fork, and a Python with torch but not all the rest, and no lib."""

import os
import sysconfig
import venv
from pathlib import Path

import nbformat
import pytest
from chapters import tagged
from worktree import copied, shell

from lib.paths import REPOSITORY, ROOT

pytestmark = pytest.mark.slow

LACKING = "tabulate"  # small, needed by a chapter, and here not among what the machine brings
FORK, BRANCH = "a-student/my-fork", "try/v2"


@pytest.fixture
def python(tmp_path):
    """An interpreter with our packages but for one, without our library."""
    venv.create(tmp_path / "env", with_pip=True)
    own = Path(
        shell(tmp_path / "env/bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    )
    borrowed = tmp_path / "borrowed"
    borrowed.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith((LACKING, "__editable__", "pip")) and entry.suffix != ".pth":
            (borrowed / entry.name).symlink_to(entry)
    (own / "borrowed.pth").write_text(str(borrowed))
    return tmp_path / "env/bin/python"


@pytest.fixture
def environment(tmp_path):
    """Git finds the one address, and the fork, on a branch that differs by a file, in folders."""
    hub = tmp_path / "hub"
    copied(hub / REPOSITORY.removeprefix("https://github.com/"))
    fork = copied(hub / FORK)
    shell("git", "checkout", "-q", "-b", BRANCH, cwd=fork)
    (fork / "lib/of_the_fork.py").write_text('"""Only in the fork."""\n')
    shell("git", "add", "-A", cwd=fork)
    shell("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "more", cwd=fork)
    settings = tmp_path / "gitconfig"
    settings.write_text(f'[url "{hub.as_uri()}/"]\n    insteadOf = https://github.com/\n')
    left_out = ("VIRTUAL_ENV", "PYTHONPATH", "JUPYTER_PATH", "IPYTHONDIR")
    return {name: value for name, value in os.environ.items() if name not in left_out} | {
        "GIT_CONFIG_GLOBAL": str(settings)
    }


def test_a_notebook_alone_fetches_its_fork_and_the_rest_and_leaves_torch_alone(tmp_path, python, environment):
    content, kept = tmp_path / "content", tmp_path / "kept"
    content.mkdir()
    asked = [python, "-c", "import importlib.util, torch; print(torch.__version__, importlib.util.find_spec('lib'))"]
    before = shell(*asked, cwd=content, env=environment)
    assert before.strip().endswith(" None")  # our library is not installed there

    opened = ["--repository", FORK, "--branch", BRANCH, "--content", content, "--keep", kept]
    table = shell(python, ROOT / "tests/colab/rehearse.py", "claims", "--preset", "smoke", *opened, env=environment)

    assert f"opened from https://github.com/{FORK}, branch {BRANCH}: using its files" in table
    assert f"installing {LACKING}" in table
    done = nbformat.read(kept / "claims.ipynb", as_version=4)
    assert "torch" not in "".join(out.get("text", "") for out in tagged(done, "setup")[0].outputs)
    (clone,) = content.iterdir()
    assert clone.name == REPOSITORY.rsplit("/", 1)[1]
    assert (clone / "lib/of_the_fork.py").is_file()
    assert "original report" in str(tagged(done, "abstract")[0].outputs)
    assert shell(*asked, cwd=content, env=environment) == before
