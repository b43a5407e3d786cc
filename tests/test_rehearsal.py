"""Machines laid out for a rehearsal are what they are said to be."""

import pytest
from rehearsal import COST, REFERENCE, evidence, machines

from lib import records
from lib.paths import DATA
from lib.report.evidence import Evidence
from lib.report.frames import Missing
from lib.report.views.base import machines as recorded


def test_a_record_stands_in_place_of_the_committed_one(tmp_path):
    committed = records.read(DATA / "runs" / REFERENCE / "scan.json")
    made = committed.model_copy(
        update={"seed": 7, "environment": committed.environment.model_copy(update={"machine": "elsewhere"})}
    )
    found = evidence(tmp_path, made)
    assert found.records("scan")[0].seed == 7
    assert found.records("scan")[0].environment.machine == REFERENCE
    assert found.records("ssm_scaling")[0].seed == 42
    assert records.read(DATA / "runs" / REFERENCE / "scan.json") == committed


def test_a_record_can_be_left_out(tmp_path):
    with pytest.raises(Missing, match="no record of scan"):
        evidence(tmp_path, without=["scan"]).records("scan")


def test_a_machine_by_another_name_has_a_title_of_its_own(tmp_path):
    found = evidence(tmp_path, machine="tesla-t4")
    assert (found.machine, found.title) == ("tesla-t4", "Tesla T4")


def test_machines_are_complete_or_hold_costs_alone(tmp_path):
    runs = machines(tmp_path, count=10)
    counts = recorded(runs)
    assert len(counts) == 10
    assert counts.pop("nvidia-a100") == len(COST) < counts[REFERENCE]
    assert set(counts.values()) == {counts[REFERENCE]}
    titles = {records.machine_title(one, runs) for one in Evidence(runs=runs, machine=REFERENCE).everywhere("scan")}
    assert len(titles) == 10
