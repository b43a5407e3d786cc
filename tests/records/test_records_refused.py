"""Files that are no record of ours: refused in one line with file and field, and never in the place of a good one."""

import json
import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lib import records
from lib.paths import RUNS
from lib.profilers.profile import Profile
from lib.records import Case, RecordError

COMMITTED = RUNS / "amd-epyc-2-cores"


def a_record(experiment="toy", **more):
    result = Profile(seconds=[0.1, 0.2], peak_bytes=8, flops=16)
    made = records.new(experiment, [Case.of("baseline", result, factor=None)], seed=3, parameters={"r": 4})
    return made.model_copy(update=more)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where what is refused is kept
    return records.write(a_record(), tmp_path / "runs")


def changed(*where, to):
    """A change of one field of a record that was read as JSON."""

    def change(held):
        for step in where[:-1]:
            held = held[step]
        held[where[-1]] = to

    return change


IN = ("cases", 0)
FIELDS = {
    "another experiment": ("experiment", changed("experiment", to="mrss_scan")),
    "no experiment's name": ("experiment", changed("experiment", to="../toy")),
    "a name that ends in a line": ("experiment", changed("experiment", to="toy\n")),
    "another machine": ("environment.machine", changed("environment", "machine", to="tesla-t4")),
    "no machine's name": ("environment.machine", changed("environment", "machine", to="Tesla T4")),
    "an older schema": ("schema_version", changed("schema_version", to=0)),
    "a schema of true": ("schema_version", changed("schema_version", to=True)),
    "a schema in words": ("schema_version", changed("schema_version", to="1")),
    "a schema as a float": ("schema_version", changed("schema_version", to=1.0)),
    "no schema": ("schema_version", lambda held: held.pop("schema_version")),
    "a later schema": ("schema_version", changed("schema_version", to=2)),
    "a later schema by far": ("schema_version", changed("schema_version", to=10**30)),
    "the future": ("recorded_at", changed("recorded_at", to="2999-01-01T00:00:00Z")),
    "a time without a zone": ("recorded_at", changed("recorded_at", to="2026-11-25T12:00:00")),
    "a time in another zone": ("recorded_at", changed("recorded_at", to="2026-11-25T12:00:00+02:00")),
    "a time as a number": ("recorded_at", changed("recorded_at", to=1795608000)),
    "a clock that was never set": ("recorded_at", changed("recorded_at", to="1970-01-01T00:00:00Z")),
    "no time": ("recorded_at", changed("recorded_at", to=None)),
    "a short commit": ("commit", changed("commit", to="98fdc52")),
    "a commit in capitals": ("commit", changed("commit", to="A" * 40)),
    "a commit and a line": ("commit", changed("commit", to="a" * 40 + "\n")),
    "dirty in words": ("dirty", changed("dirty", to="false")),
    "dirty as a number": ("dirty", changed("dirty", to=0)),
    "clean without a commit": ("dirty", lambda held: held.update(commit=None, dirty=False)),
    "a negative seed": ("seed", changed("seed", to=-1)),
    "a huge seed": ("seed", changed("seed", to=10**50)),
    "a seed as a float": ("seed", changed("seed", to=3.0)),
    "a setting that is a list": ("parameters", changed("parameters", "r", to=[4])),
    "a setting that is no number": ("parameters", changed("parameters", "r", to=1e999)),
    "no cores": ("environment.cores", changed("environment", "cores", to=0)),
    "no packages": ("environment.packages", changed("environment", "packages", to={})),
    "an unknown field": ("noise", changed("noise", to=1)),
    "an unknown field of the environment": ("environment.noise", changed("environment", "noise", to=1)),
    "no cases": ("cases", changed("cases", to=[])),
    "cases by name": ("cases", changed("cases", to={"baseline": {}})),
    "every case twice": ("cases.1.parameters", lambda held: held["cases"].extend(held["cases"])),
    "a negative time": ("cases.0.seconds.1", changed(*IN, "seconds", 1, to=-0.1)),
    "no time at all": ("cases.0", changed(*IN, "seconds", 1, to=0.0)),
    "an endless time": ("cases.0.seconds.1", changed(*IN, "seconds", 1, to=1e999)),
    "a time of no number": ("cases.0.seconds.0", changed(*IN, "seconds", 0, to=float("nan"))),
    "an accuracy of no number": ("cases.0.accuracies.0", changed(*IN, "accuracies", to={"0": float("nan")})),
    "negative memory": ("cases.0.peak_bytes", changed(*IN, "peak_bytes", to=-1)),
    "half an operation": ("cases.0.flops", changed(*IN, "flops", to=0.5)),
    "an accuracy of seven": ("cases.0.accuracies.0", changed(*IN, "accuracies", to={"0": 7.0})),
    "the same seed twice": ("cases.0.accuracies", changed(*IN, "accuracies", to={"0": 0.5, "00": 0.5})),
    "answers that are no digits": ("cases.0.right", changed(*IN, "right", to={"0": "zz"})),
    "rounds that do not match": ("cases.0: host_seconds", changed(*IN, "host_seconds", to=[1.0])),
    "a case without a name": ("cases.0.variant", changed(*IN, "variant", to="")),
    "a case with an unknown field": ("cases.0.noise", changed(*IN, "noise", to=1)),
}


def refused(path):
    with pytest.raises(RecordError) as caught:
        records.read(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    assert len(said) < 400
    return said.removeprefix(f"{path}: ")


@pytest.mark.parametrize("what", FIELDS)
def test_a_record_of_no_sense_is_refused_with_its_file_and_field(path, what):
    field, change = FIELDS[what]
    held = json.loads(path.read_text())
    change(held)
    path.write_text(json.dumps(held))
    assert field in refused(path)


@pytest.mark.limit(
    "records",
    "A record whose numbers cannot be: an accuracy above 1, a time that is not positive, the same case twice",
    "It would decide verdicts. The message names file, case and field; record the run anew.",
)
def test_a_refusal_names_the_variant_of_the_case(path):
    held = json.loads(path.read_text())
    held["cases"][0]["peak_bytes"] = -8
    path.write_text(json.dumps(held))
    assert refused(path).startswith("cases.0.peak_bytes: ")
    assert refused(path).endswith("in the case of 'baseline'")


TEXTS = {
    "nothing": lambda text: b"",
    "a part": lambda text: text[: len(text) // 2],
    "all but its end": lambda text: text.rstrip()[:-1],
    "more than one": lambda text: text + text,
    "zeros": lambda text: bytes(len(text)),
    "another encoding": lambda text: text.decode().encode("utf-16"),
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "a program": lambda text: b"\x7fELF\x02\x01\x01" + text,
    "infinity": lambda text: text.replace(b"0.1", b"-Infinity"),
    "a field twice": lambda text: text.replace(b'"seed": 3', b'"seed": 3, "seed": 4'),
    "a number of 5,000 digits": lambda text: text.replace(b'"seed": 3', b'"seed": ' + b"9" * 5000),
    "lists in lists": lambda text: b"[" * 100_000,
    "a list": lambda text: b"[1, 2]",
    "null": lambda text: b"null",
    "half a letter": lambda text: text.replace(b"baseline", b"\\ud800"),
}


@pytest.mark.parametrize("what", TEXTS)
def test_a_file_that_is_not_a_record_is_named_and_never_overwritten(path, what):
    broken = TEXTS[what](path.read_bytes())
    path.write_bytes(broken)
    refused(path)
    with pytest.raises(RecordError, match="what was measured is in") as caught:
        records.write(a_record(), path.parent.parent)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == broken


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link", "another machine's", "unreadable name"])
def test_what_is_no_file_of_this_place_is_refused(path, kind):
    content = path.read_bytes()
    path.unlink()
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "dangling link":
            path.symlink_to("nowhere.json")
        case "another machine's":
            path.symlink_to(COMMITTED / "mrss_proxy.json")
        case "unreadable name":
            path = path.with_name("Toy.json")
            path.write_bytes(content)
    refused(path)


def test_a_record_that_is_not_there_is_told_apart(path):
    with pytest.raises(FileNotFoundError):
        records.read(path.with_name("other.json"))


def with_case(record, **fields):
    """A record as a faulty writer makes it: nothing is checked."""
    return record.model_copy(update={"cases": [record.cases[0].model_copy(update=fields)]})


UNREADABLE = {
    "no number": lambda one: with_case(one, seconds=[0.1, float("nan")]),
    "a negative time": lambda one: with_case(one, seconds=[-0.1]),
    "an accuracy of seven": lambda one: with_case(one, accuracies={0: 7.0}),
    "the future": lambda one: one.model_copy(update={"recorded_at": datetime.now(UTC) + timedelta(days=2)}),
    "every case twice": lambda one: one.model_copy(update={"cases": [*one.cases, *one.cases]}),
    "no cases": lambda one: one.model_copy(update={"cases": []}),
    "a short commit": lambda one: one.model_copy(update={"commit": "98fdc52"}),
    "rounds that do not match": lambda one: with_case(one, host_seconds=[1.0]),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_could_not_be_read_never_replaces_what_can_and_is_kept(path, what):
    before = path.read_bytes()
    with pytest.raises(RecordError, match="what was measured is in ") as caught:
        records.write(UNREADABLE[what](a_record()), path.parent.parent)
    assert path.read_bytes() == before
    assert Path(str(caught.value).rpartition("what was measured is in ")[2]).is_file()


def test_committed_records_are_read_as_they_were():
    for source in (path for path in RUNS.glob("*/*.json") if path.name != "machine.json"):
        wanted, found = json.loads(source.read_bytes()), json.loads(records.read(source).model_dump_json())
        for old, new in zip(wanted.pop("cases"), found.pop("cases"), strict=True):
            assert {name: new[name] for name in old} == old  # fields that are newer than the file have no value
        assert found == wanted


def test_a_machines_title_is_one_line(path):
    machine = path.with_name("machine.json")
    for wrong in ('{"title": ""}', '{"title": "a\\nb"}', "{}", '{"title": "a", "title": "b"}'):
        machine.write_text(wrong)
        with pytest.raises(RecordError, match=r"machine\.json: "):
            records.machine_title(records.read(path), path.parent.parent)


def test_a_copy_in_another_machines_folder_is_refused(path):
    other = path.parent.with_name("tesla-t4")
    shutil.copytree(path.parent, other)
    assert "environment.machine" in refused(other / path.name)
