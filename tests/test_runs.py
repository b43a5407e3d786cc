"""Committed records: readable, from a clean commit, in the folder of their machine."""

import pytest

from lib import records
from lib.paths import RUNS

PATHS = sorted(path for path in RUNS.glob("*/*.json") if path.name != "machine.json")


def test_there_are_records():
    assert PATHS


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_record_can_be_trusted(path):
    record = records.read(path)
    assert (path.parent.name, path.stem) == (record.environment.machine, record.experiment)
    assert record.commit is not None
    assert not record.dirty
    assert (path.parent / "machine.json").exists()
    assert records.machine_title(record)
