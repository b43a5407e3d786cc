"""The map of old to new names: what it names is there, and what it calls old is gone."""

import re

import pytest

from lib.paths import ROOT

TEXT = (ROOT / "CHANGELOG.md").read_text()
MAP = {
    old: re.findall(r"`([\w.]+)`", new) for old, new in re.findall(r"^\| `(lib[\w.]+)` \| (.+) \|$", TEXT, re.MULTILINE)
}


def found(name):
    """Whether a module has a file, or a room with one; nothing is imported."""
    place = ROOT / name.replace(".", "/")
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def test_all_that_moved_is_listed():
    assert len(MAP) > 50
    assert all(MAP.values())


@pytest.mark.parametrize("old", MAP)
def test_new_names_are_there(old):
    assert [name for name in MAP[old] if not found(name)] == []


@pytest.mark.parametrize("old", MAP)
def test_an_old_name_is_gone_or_is_a_room_now(old):
    assert not found(old) or any(name == old or name.startswith(f"{old}.") for name in MAP[old])


def test_a_name_that_is_nowhere_is_not_found():
    assert not found("lib.models.clip.load.nothing")
    assert not found("lib.no_such_layer.module")


def test_other_names_of_the_library_in_the_text_are_modules_or_what_they_define():
    named = set(re.findall(r"`(lib\.[\w.]+)`", TEXT.split("### Modules")[0]))
    assert [name for name in named if not found(name) and not found(name.rpartition(".")[0])] == []
