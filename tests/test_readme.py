"""What README tells to type is typed: its code runs as it stands, and prints what it says."""

import re
import shutil

import pytest

from lib.paths import ROOT

TEXT = (ROOT / "README.md").read_text()
OTHERS = {"README.md": TEXT, "CONTRIBUTING.md": (ROOT / "CONTRIBUTING.md").read_text()}
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(TEXT)
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
HERE = (" ms", " channels", " thread")  # what follows a number of this machine: its speed, its registers, its cores
# A training adds in another order on another processor, and ends nearby: shares of images are compared, not digits.
# 0.03 is 15 of 500 images; the smallest difference that README speaks of is ten times as large.
NEARBY = 0.03


def differences(said: str, found: str) -> list[str]:
    """Where an output is not the one that is written: words always count, numbers unless this machine decides them."""
    words, numbers = [NUMBER.split(text.strip()) for text in (said, found)], [NUMBER.findall(t) for t in (said, found)]
    if words[0] != words[1]:
        return [f"{found!r} is printed, not {said!r}"]
    wrong = []
    for one, other, unit in zip(*numbers, words[0][1:], strict=True):
        share = "." in one and float(one.replace(",", "")) <= 1
        near = share and abs(float(one) - float(other)) <= NEARBY
        if one != other and not near and not unit.startswith(HERE):
            wrong.append(f"{other}{unit} is printed, not {one}{unit}")
    return wrong


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")  # as a reader runs it; one of them exports a model
@pytest.mark.parametrize(("code", "said"), BLOCKS, ids=[code.strip().splitlines()[-1][:50] for code, _ in BLOCKS])
def test_a_block_runs_and_prints_what_is_written(code, said, tmp_path, monkeypatch, capsys):
    if "compiled for this CPU" in said and not shutil.which("c++"):
        pytest.skip("without a C++ compiler other backends are listed: the text is of a machine that has one")
    monkeypatch.chdir(tmp_path)  # a block may write files
    (tmp_path / "data").symlink_to(ROOT / "data")
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert differences(said, capsys.readouterr().out if said else "") == []


def test_readme_has_blocks_and_most_say_what_they_print():
    assert len(BLOCKS) >= 6
    assert sum(bool(said) for _, said in BLOCKS) >= 5


@pytest.mark.parametrize(
    ("said", "found", "wrong"),
    [
        ("low: 1.5 ms, 133 MFLOP", "low: 27.5 ms, 133 MFLOP", 0),
        ("low: 1.5 ms, 133 MFLOP", "low: 1.5 ms, 134 MFLOP", 1),
        ("low: 1.5 ms", "high: 1.5 ms", 1),
        ("merge: 0.946", "merge: 0.930", 0),
        ("merge: 0.946", "merge: 0.900", 1),
        ("dim 256, 1,751,040 weights", "dim 256, 1,751,041 weights", 1),
        ("one line", "one line\nand another", 1),
    ],
)
def test_what_depends_on_the_machine_is_passed_over_and_nothing_else(said, found, wrong):
    assert len(differences(said, found)) == wrong


@pytest.mark.parametrize("name", OTHERS)
def test_every_target_of_make_is_there(name):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`|&& |\$ )make ([a-z-]+)", OTHERS[name], re.MULTILINE))
    assert named
    assert named - targets == set()


def test_the_list_of_commands_is_the_one_that_make_prints():
    listed = re.findall(r"^([a-z-]+):.*?## (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    width = max(len(name) for name, _ in listed)
    wanted = [f"make {name.ljust(width)} {about}" for name, about in listed]
    (block,) = re.findall(r"^\$ make help\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert block.splitlines() == wanted


@pytest.mark.parametrize("name", OTHERS)
def test_every_file_that_is_linked_is_there(name):
    links = {link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", OTHERS[name]) if "://" not in link}
    assert [link for link in links if link and not (ROOT / link).exists()] == []
