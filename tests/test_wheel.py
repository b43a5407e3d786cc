"""The library from a wheel, without the repository: models and profilers work, the book's data is refused in words."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from lib.paths import ROOT, SOURCES

pytestmark = pytest.mark.slow

WORKS = """
import lib, torch
from lib.models.clip.load import known_config, random_init, shipped
from lib.models.ssm.scan import explain_backend, selective_scan_fn
from lib.profilers.profile import profile

assert lib.__file__.startswith({place!r}), lib.__file__
u, delta, z = (torch.randn(2, 32, 8).transpose(1, 2) for _ in range(3))
B, C = (torch.randn(2, 32, 4).transpose(1, 2) for _ in range(2))
inputs = (u, delta, -torch.rand(8, 4), B, C)
fast = selective_scan_fn(*inputs, z=z, delta_softplus=True, backend={backend!r})
slow = selective_scan_fn(*inputs, z=z, delta_softplus=True, backend="ref")
torch.testing.assert_close(fast, slow)
assert {{"openai/clip-vit-base-patch32", "google/siglip-base-patch16-224"}} <= set(shipped())
model = random_init("openai/clip-vit-base-patch32")
assert sum(one.numel() for one in model.parameters()) > 1e8
assert profile({{"scan": lambda: selective_scan_fn(*inputs)}}, runs=1, progress=False)["scan"].error is None
print("works")
"""
REFUSES = {
    "records": "from lib.report.views.base import machines; machines()",
    "a record": "from lib.experiments.base import record; from lib import records; "
    "records.write(records.new('toy', [records.Case(variant='a', parameters={}, flops=1)], seed=0, parameters={}))",
    "claims": "from lib.report.claims.ledger import claims; claims()",
    "the original report": "from lib.report.frames import original; original.mrss()",
    "prose": "from dataclasses import make_dataclass; from lib.report import prose; "
    "prose.render('mrss/abstract', make_dataclass('Numbers', [])())",
    "requirements": "from lib import requirements; requirements.missing()",
    "a training": "from lib.tasks.training import clips; clips.made(clips.Plan('scenes', 0, clips.STEPS['scenes']))",
    "a checkpoint": "from lib.models.clip.load import load; load('no such owner/clip-scenes-0')",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the library as pip installs it from a wheel of this tree."""
    tree = tmp_path_factory.mktemp("tree")
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    for name in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if name.startswith(("lib", "data/configs", "pyproject", "README", "LICENSE")) and (ROOT / name).exists():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name, follow_symlinks=False)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    wheels, place = tree / "wheels", tree / "installed"
    for command in (
        # Without isolation, so that no network is needed: setuptools is there, by the test extra.
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, "."],
        [*pip, "install", "--no-deps", "--no-index", "--target", place, "--find-links", wheels, "ece1512-project-a"],
    ):
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return place


def run(place, code, folder, *options):
    """Python in another folder, with the installed library first on its path and the repository nowhere on it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RECORDS"))}
    command = [sys.executable, "-c", code] if code else [sys.executable, *options]
    return subprocess.run(
        command, cwd=folder, env=environment | {"PYTHONPATH": str(place)}, capture_output=True, text=True
    )


def test_a_wheel_holds_the_library_and_nothing_else(installed):
    held = {path.relative_to(installed).parts[0] for path in installed.iterdir()}
    assert {name for name in held if not name.endswith(".dist-info")} == {"lib"}
    sources = {path.relative_to(ROOT) for path in (ROOT / "lib/kernels").rglob("*") if path.suffix in SOURCES}
    assert [path for path in sources if not (installed / path).is_file()] == []


def test_models_and_profilers_work(installed, tmp_path):
    backend = "cpp" if shutil.which(os.environ.get("CXX", "c++")) else "torch"
    done = run(installed, WORKS.format(place=str(installed), backend=backend), tmp_path)
    assert done.stdout.endswith("works\n"), done.stderr


@pytest.fixture(scope="module")
def refusals(installed, tmp_path_factory):
    """What came of each line of REFUSES, in one process: the type and the text of what was raised."""
    folder = tmp_path_factory.mktemp("elsewhere")
    code = f"""
import json
found = {{}}
for what, line in {REFUSES!r}.items():
    try:
        exec(line, {{}})
    except Exception as error:
        found[what] = type(error).__name__, str(error)
print(json.dumps(found))
"""
    done = run(installed, code, folder)
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("what", REFUSES)
def test_what_needs_the_repository_says_so_in_one_line(refusals, what):
    kind, line = refusals[what]
    assert kind == "FileNotFoundError"
    assert "not part of the installed package; `git clone https://" in line
    assert "\n" not in line


def test_an_experiments_command_ends_with_the_same_line(installed, tmp_path):
    done = run(installed, None, tmp_path, "-m", "lib.experiments.mrss_proxy", "--preset", "smoke")
    assert done.returncode != 0
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("data/presets: not part of the installed package; `git clone https://")
