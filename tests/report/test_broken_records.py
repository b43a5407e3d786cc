"""A record that breaks a page is named by machine and file, in one line, whatever it lacks."""

import json
import math
from functools import cached_property

import mrss_book
import pytest
from rehearsal import COMMITTED, REFERENCE, machines

from lib.records import RecordError
from lib.report.chapters import mrss
from lib.report.evidence import Evidence
from lib.report.frames import Missing
from lib.report.views.base import Base
from lib.report.views.files import naming_files

pytestmark = pytest.mark.slow


def part(name):
    return lambda case: case["parameters"].get("part") == name


def cases(change, chosen=lambda case: True):
    """A change of each case that is chosen; a case for which it returns False is left out."""

    def changed(held):
        held["cases"] = [one for one in held["cases"] if not chosen(one) or change(one) is not False]

    return changed


CHANGES = {
    "a part is gone": ("mrss_proxy", cases(lambda one: False, part("factors"))),
    "a case is gone": ("mrss_proxy", cases(lambda one: False, lambda one: one["parameters"]["factor"] == 4)),
    "the baseline is gone": ("mrss_proxy", cases(lambda one: False, lambda one: one["variant"] == "baseline")),
    "the baseline has another name": ("mrss_proxy", cases(lambda one: one.update(variant=f"{one['variant']}!"))),
    "one case is left": ("mrss_proxy", lambda held: held.update(cases=held["cases"][:1])),
    "a part has another name": ("mrss_proxy", cases(lambda one: one["parameters"].update(part="factor"))),
    "a parameter is gone": ("mrss_proxy", cases(lambda one: one["parameters"].pop("factor"))),
    "a parameter is in words": ("mrss_proxy", cases(lambda one: one["parameters"].update(factor="four"))),
    "a parameter is none": ("mrss_proxy", cases(lambda one: one["parameters"].update(batch=None))),
    "a size is gone": ("mrss_proxy", cases(lambda one: one["parameters"].pop("length"))),
    "no memory was measured": ("mrss_proxy", cases(lambda one: one.pop("peak_bytes"))),
    "no operations were counted": ("mrss_proxy", cases(lambda one: one.pop("flops"))),
    "no time was measured": ("mrss_proxy", cases(lambda one: one.pop("seconds"))),
    "rounds are gone": (
        "mrss_proxy",
        cases(lambda one: one["seconds"].pop(), lambda one: one["variant"] == "baseline"),
    ),
    "one round is left": (
        "mrss_proxy",
        cases(lambda one: one.update(seconds=one["seconds"][:1]), lambda one: one["variant"] == "baseline"),
    ),
    "every case twice": ("mrss_proxy", lambda held: held["cases"].extend(held["cases"])),
    "a time is no number": ("mrss_proxy", cases(lambda one: one["seconds"].__setitem__(0, math.nan))),
    "the settings are gone": ("mrss_scan", lambda held: held.update(parameters={})),
    "a setting is in words": ("mrss_scan", lambda held: held["parameters"].update(longest="long")),
    "a setting is of another run": ("mrss_scan", lambda held: held["parameters"].update(width=65)),
    "a factor is of another run": ("mrss_scan", lambda held: held["parameters"].update(r=3)),
    "a variant is gone": ("mrss_scan", cases(lambda one: False, lambda one: one["variant"].startswith("low"))),
    "shares are in percent": (
        "mrss_digits",
        cases(lambda one: one.update(accuracies={k: 100 * v for k, v in one["accuracies"].items()}), part("trained")),
    ),
    "accuracies are gone": (
        "mrss_digits",
        cases(lambda one: [one.pop(name) for name in ("accuracies", "losses")], part("trained")),
    ),
    "an input's size is gone": (
        "mrss_proxy",
        cases(lambda one: one["parameters"].update(input_bytes=None), lambda one: one["variant"] == "baseline"),
    ),
    "an input's size is in words": (
        "mrss_proxy",
        cases(lambda one: one["parameters"].update(input_bytes="4 MiB"), lambda one: one["variant"] == "baseline"),
    ),
    "a variant is gone from one task": (
        "mrss_digits",
        cases(lambda one: False, lambda one: one["variant"].startswith("hybrid") and part("trained")(one)),
    ),
    "a variant's time is gone": (
        "mrss_digits",
        cases(lambda one: False, lambda one: one["variant"].startswith("hybrid") and part("forward")(one)),
    ),
    "trainings have no time": ("mrss_digits", cases(lambda one: one.pop("seconds"), part("trained"))),
    "a length is gone": (
        "mrss_scan",
        cases(lambda one: False, lambda one: one["variant"].startswith("low") and one["parameters"]["length"] == 2048),
    ),
    "a seed is gone": ("mrss_digits", cases(lambda one: one["accuracies"].pop("0"), part("trained"))),
}


def broken(folder, name, change):
    """The committed machine with one record that was changed."""
    machines(folder, full=(), cost_only=())
    path = folder / REFERENCE / f"{name}.json"
    held = json.loads(path.read_text())
    change(held)
    path.unlink()
    path.write_text(json.dumps(held))
    return Evidence(runs=folder, machine=REFERENCE)


@pytest.mark.parametrize("what", CHANGES)
def test_a_record_that_breaks_the_numbers_is_named_by_machine_and_file(tmp_path, what):
    name, change = CHANGES[what]
    with pytest.raises((RecordError, Missing)) as caught:
        mrss.numbers(broken(tmp_path, name, change), mrss_book.TASKS)
    said = str(caught.value)
    assert f"{REFERENCE}/{name}.json" in said
    assert "\n" not in said


def test_another_machines_record_that_breaks_the_comparison_is_named(tmp_path):
    machines(tmp_path, full=("tesla-t4",), cost_only=())
    path = tmp_path / "tesla-t4/mrss_scan.json"
    held = json.loads(path.read_text())
    for case in held["cases"]:
        case["parameters"].pop("dim")
    path.write_text(json.dumps(held))
    with pytest.raises(RecordError, match=r"tesla-t4/mrss_scan\.json") as caught:
        mrss.across_machines(Evidence(runs=tmp_path, machine=REFERENCE))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", '{"title": ""}', "[]"])
def test_a_machine_whose_name_cannot_be_read_is_named(tmp_path, content):
    machines(tmp_path, full=(), cost_only=())
    path = tmp_path / REFERENCE / "machine.json"
    path.unlink()
    path.write_text(content)
    with pytest.raises(RecordError, match=rf"{REFERENCE}/machine\.json: "):
        _ = Evidence(runs=tmp_path, machine=REFERENCE).title


class Dummy(Base):
    """Views of two records, one of them kept."""

    @cached_property
    def first(self):
        return self.records("mrss_proxy")

    @property
    def second(self):
        return {}["gates"] if self.records("mrss_scan") else None

    @property
    def toys(self):
        return self.toy("none")

    @property
    def none(self):
        return self.records("nothing")


@naming_files
def page(evidence, error):
    if evidence.first:
        raise error


def test_a_view_that_is_read_again_is_still_known_by_its_files():
    found = Dummy(runs=COMMITTED.parent, machine=REFERENCE)
    for _ in range(2):
        with pytest.raises(RecordError, match=rf"^{REFERENCE}/mrss_proxy\.json: KeyError: 'gates'$") as caught:
            page(found, KeyError("gates"))
        assert isinstance(caught.value.__cause__, KeyError)
        with pytest.raises(Missing, match=rf"^no case \({REFERENCE}/mrss_proxy\.json\)$"):
            page(found, Missing("no case"))


def test_a_view_names_its_own_files_alone():
    found = Dummy(runs=COMMITTED.parent, machine=REFERENCE)
    assert found.first
    with pytest.raises(RecordError, match=rf"^{REFERENCE}/mrss_scan\.json: KeyError: 'gates'$"):
        _ = found.second


def test_where_no_file_was_read_none_is_named():
    found = Dummy(runs=COMMITTED.parent, machine=REFERENCE)
    with pytest.raises(Missing, match=r"^the toy 'none' was not computed$"):
        _ = found.toys
    with pytest.raises(Missing, match=rf"^there is no record of nothing on {REFERENCE}$"):
        _ = found.none


def test_lack_of_memory_is_no_fault_of_a_record():
    with pytest.raises(MemoryError):
        page(Dummy(runs=COMMITTED.parent, machine=REFERENCE), MemoryError())
