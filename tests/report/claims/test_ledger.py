"""The file of claims, and the way from a claim to its verdict."""

import json
import re
import shutil

import pytest
import yaml

from lib.paths import BOOK, RUNS, SEED
from lib.report import checks, claims
from lib.report.claims import CONTRADICTED, NOT_TESTABLE, REPRODUCED, UNSUPPORTED, VERDICTS, Verdict
from lib.report.evidence import Evidence


def test_every_claim_says_what_decides_it_and_where_more_is_told():
    found = claims.claims()
    assert list(found) == sorted(found, key=lambda one: (one[0], int(one[1:])))
    for claim in found.values():
        assert set(claim.checks) <= set(checks.CHECKS)
        assert (BOOK / f"{claim.chapter}.ipynb").exists() or claim.chapter == "claims"


def test_every_check_belongs_to_a_claim():
    named = {name for claim in claims.claims().values() for name in claim.checks}
    made = {name for name, one in vars(checks).items() if callable(one) and one.__module__ == checks.__name__}
    assert made - {"judged", "judge", "Check"} == named


def test_an_id_that_is_there_twice_or_a_claim_of_another_form_is_refused(tmp_path):
    entries = yaml.safe_load((SEED / "claims.yml").read_text())
    twice, odd = tmp_path / "twice.yml", tmp_path / "odd.yml"
    twice.write_text(yaml.safe_dump([entries[0], entries[0]]))
    with pytest.raises(ValueError, match="A1 is there twice"):
        claims.claims(twice)
    odd.write_text(yaml.safe_dump([entries[0] | {"verdict": "reproduced"}]))
    with pytest.raises(ValueError, match="verdict"):
        claims.claims(odd)


def test_no_verdict_is_written_down():
    text = (SEED / "claims.yml").read_text()
    assert not [word for word in VERDICTS if re.search(rf"\b{word}\b", text)]


def test_without_records_and_toys_nothing_is_decided_but_arithmetic(tmp_path):
    found = checks.judged(Evidence(runs=tmp_path))
    decided = {one.id for one in found if one.verdict != NOT_TESTABLE}
    assert decided == {"A13", "A16", "R2"}  # of the seed's own tables
    assert {one.id for one in found} == set(claims.claims())


def test_a_missing_record_is_named_and_a_changed_one_can_change_a_verdict(tmp_path):
    (machine,) = (path.parent for path in RUNS.glob("*/mrss_proxy.json"))
    shutil.copytree(machine, tmp_path / machine.name)
    assert checks.judge(Evidence(runs=tmp_path), "A1", "proxy_latency_falls").verdict == CONTRADICTED
    place = tmp_path / machine.name / "mrss_proxy.json"
    record = json.loads(place.read_text())
    for case in record["cases"]:
        if case["variant"] != "baseline":
            case["seconds"] = [taken / 10 for taken in case["seconds"]]
    place.write_text(json.dumps(record))
    assert checks.judge(Evidence(runs=tmp_path), "A1", "proxy_latency_falls").verdict == REPRODUCED
    place.unlink()
    found = checks.judge(Evidence(runs=tmp_path), "A1", "proxy_latency_falls")
    assert found.verdict == NOT_TESTABLE
    assert found.evidence == "No machine has a record of mrss_proxy."


def test_with_our_records_nothing_but_toys_is_missing():
    found = [one for one in checks.judged(Evidence()) if one.verdict == NOT_TESTABLE and one.id != "R1"]
    assert [one.evidence for one in found if not one.evidence.startswith("The toy ")] == []


def test_a_record_whose_cases_failed_or_are_left_out_decides_nothing(tmp_path):
    (machine,) = (path.parent for path in RUNS.glob("*/mrss_proxy.json"))
    for spoil in ("failed", "left out"):
        folder = tmp_path / spoil
        shutil.copytree(machine, folder / machine.name)
        for path in (folder / machine.name).glob("*.json"):
            if path.name in ("machine.json", "scan.json"):
                continue
            record = json.loads(path.read_text())
            kept = ("baseline", "untouched", "full kernel", "full fine-tuning", "original")
            for case in record["cases"]:
                if case["variant"] not in kept and spoil == "failed":
                    held = ("variant", "parameters")
                    case.update({key: None for key in case if key not in held} | {"error": "out of memory: all"})
                    for key in [key for key in case if case[key] is None]:
                        del case[key]
            if spoil == "left out":
                record["cases"] = [case for case in record["cases"] if case["variant"] in kept] or record["cases"][:1]
            path.write_text(json.dumps(record))
        found = checks.judged(Evidence(runs=folder))
        decided = {one.id for one in found if one.verdict not in (NOT_TESTABLE, UNSUPPORTED)}
        assert decided == {"A13", "A16", "R2"}, spoil


def test_checks_of_one_kind_can_be_asked_for():
    found = checks.judged(Evidence({"weights without gradient": ["a"]}), ["A6"], "scan_")
    assert [(one.id, one.verdict) for one in found] == [("A6", CONTRADICTED)]


def test_the_table_shows_every_verdict():
    verdicts = [Verdict("A1", "Seen.", CONTRADICTED), Verdict("B4", "Not seen.", NOT_TESTABLE)]
    text = claims.verdict_table(verdicts, "caption").data
    assert all(one.id in text and one.verdict in text and one.claim.claim in text for one in verdicts)


def test_evidence_ends_with_its_records_and_its_chapter_where_they_are_known():
    read, counted = Verdict("A1", "Seen.", CONTRADICTED, ("mrss_proxy",)), Verdict("A13", "Counted.", REPRODUCED)
    first, second = claims.verdict_table([read, counted], "caption", {"mrss_proxy": "there"}).data.splitlines()[-2:]
    assert "Seen. From: [mrss_proxy](there). More: [mrss](mrss.ipynb)." in first
    assert "Counted. From: the seed's tables and this page. More: [mrss](mrss.ipynb)." in second


def test_a_claim_or_a_check_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="claim 'Z9': there are A1, A2"):
        checks.judged(Evidence(), ["A1", "Z9"])
    with pytest.raises(ValueError, match="check 'nope': there are proxy_"):
        checks.judge(Evidence(), "A1", "nope")
