"""Colab, rehearsed: an empty folder, a notebook, an environment that has torch but not all the rest, and no clone."""

import os
import shutil
import sysconfig
import venv
from pathlib import Path

import nbformat
import pytest
import yaml
from chapters import tagged
from worktree import copied, shell

from lib.paths import BOOK, PRESETS, ROOT

pytestmark = pytest.mark.slow

URL = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
LACKING = "tabulate"  # small, needed by a chapter, and not among what Colab brings


@pytest.fixture
def repository(tmp_path):
    return copied(tmp_path / "repository")


@pytest.fixture
def python(tmp_path):
    """An interpreter with our packages but for one, without our library, and with a module named google.colab."""
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
    (own / "google/colab").mkdir(parents=True)
    (own / "google/colab/__init__.py").touch()
    (own / "colab.pth").write_text("import google.colab")  # Debian has a sitecustomize of its own
    return tmp_path / "env/bin/python"


def test_a_notebook_alone_fetches_the_rest_and_leaves_torch_alone(tmp_path, python, repository):
    content = tmp_path / "content"
    content.mkdir()
    settings = tmp_path / "gitconfig"
    settings.write_text(f'[url "{repository.as_uri()}"]\n    insteadOf = {URL}\n')
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": str(settings)}
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "JUPYTER_PATH"):
        environment.pop(name, None)

    asked = [python, "-c", "import importlib.util, torch; print(torch.__version__, importlib.util.find_spec('lib'))"]
    before = shell(*asked, cwd=content, env=environment)
    assert before.strip().endswith(" None")  # our library is not installed there

    notebook = tmp_path / "opened.ipynb"
    shutil.copy(BOOK / "ssm_background.ipynb", notebook)
    output = tmp_path / "out.ipynb"
    command = [
        python,
        "-m",
        "papermill",
        notebook,
        output,
        "-p",
        "steps",
        "2",
        "-f",
        PRESETS / "ssm_background" / "smoke.yml",
        "--no-progress-bar",
    ]
    shell(*command, cwd=content, env=environment)

    done = nbformat.read(output, as_version=4)
    said = "".join(out.get("text", "") for out in tagged(done, "setup")[0].outputs)
    assert f"installing {LACKING}" in said
    assert "torch" not in said
    assert [folder.name for folder in content.iterdir()] == [URL.rsplit("/", 1)[1]]
    assert "state space model" in str(tagged(done, "abstract")[0].outputs)
    assert shell(*asked, cwd=content, env=environment) == before
