"""The file of claims, the judges that are registered for them, and the way from evidence to a verdict."""

import json
import re
import shutil

import pandas as pd
import pytest
import yaml

from lib.experiments import toys
from lib.paths import BOOK, ORIGINAL, RUNS
from lib.report.claims import judging, ledger
from lib.report.claims.ledger import CONTRADICTED, JUDGES, NOT_TESTABLE, REPRODUCED, VERDICTS, Judge, claims
from lib.report.evidence import Evidence
from lib.report.frames import Missing

REFERENCE = RUNS / "amd-epyc-2-cores"
THEIRS = {"table", "repository", "code"}  # subjects that need no record: what the original report published
BASELINES = ("baseline", "untouched", "unreduced", "full kernel", "full fine-tuning", "original")


def the(claim, on):
    (found,) = [one for one in JUDGES if (one.id, one.on) == (claim, on)]
    return found


def test_every_claim_has_a_chapter_and_a_judge():
    found = claims()
    assert list(found) == sorted(found, key=lambda one: (one[0], int(one[1:])))
    assert {one.id for one in JUDGES} == set(found)
    for claim in found.values():
        assert (BOOK / f"{claim.chapter}.ipynb").exists()


@pytest.mark.parametrize("one", JUDGES, ids=lambda one: f"{one.id} {one.on}")
def test_a_judge_says_how_it_decides_and_reads_what_there_is(one):
    said = one.decide.__doc__
    assert said.startswith(one.id)
    assert "?" in said or "by the same rule" in said or not one.reads
    assert [name for name in one.reads if not hasattr(Evidence, name)] == []


def test_an_id_that_is_there_twice_or_a_claim_of_another_form_is_refused(tmp_path):
    entries = yaml.safe_load((ORIGINAL / "claims.yml").read_text())
    twice, odd = tmp_path / "twice.yml", tmp_path / "odd.yml"
    first = entries["claims"][0]
    twice.write_text(yaml.safe_dump(entries | {"claims": [first, first]}))
    with pytest.raises(ValueError, match="A1 is there twice"):
        claims(twice)
    odd.write_text(yaml.safe_dump(entries | {"claims": [first | {"verdict": "reproduced"}]}))
    with pytest.raises(ValueError, match="verdict"):
        claims(odd)
    stray = tmp_path / "stray.yml"
    stray.write_text(yaml.safe_dump(entries | {"claims": [first | {"about": ["moon"]}]}))
    with pytest.raises(ValueError, match="A1 is about 'moon': there are adapters, clip"):
        claims(stray)


def test_a_judge_of_an_unknown_claim_and_a_second_one_of_a_kind_are_refused():
    before = list(JUDGES)
    with pytest.raises(ValueError, match="decides 'A99': there are A1, A2"):
        ledger.decides("A99", on="mamba")(lambda: None)
    with pytest.raises(ValueError, match="decides A9 on 'moon': there are table, code"):
        ledger.decides("A9", on="moon")(lambda: None)
    with pytest.raises(ValueError, match="decides 'A9' on 'mamba', which has a judge"):
        ledger.decides("A9", on="mamba")(lambda: None)
    assert before == JUDGES


def test_a_subject_has_a_short_name_and_judges_or_claims():
    assert ledger.named("small_clips") == "small CLIPs"
    used = {one.on for one in JUDGES} | {subject for claim in claims().values() for subject in claim.about}
    assert used == set(ledger.subjects())


def test_no_verdict_is_written_down():
    text = (ORIGINAL / "claims.yml").read_text()
    assert not [word for word in VERDICTS if re.search(rf"\b{word}\b", text)]


def test_without_records_and_toys_nothing_is_decided_but_what_the_report_published(tmp_path):
    found = judging.judged(Evidence(runs=tmp_path))
    decided = [one for one in found if one.verdict != NOT_TESTABLE]
    assert {one.on for one in decided} <= THEIRS
    assert {"A1", "A3", "A13", "A16", "R2"} <= {one.id for one in decided}
    assert {one.id for one in found} == set(claims())


def test_a_missing_record_is_named_and_a_changed_one_can_change_a_verdict(tmp_path):
    shutil.copytree(REFERENCE, tmp_path / REFERENCE.name)
    assert judging.judge(Evidence(runs=tmp_path), the("A1", "proxy")).verdict == CONTRADICTED
    place = tmp_path / REFERENCE.name / "mrss_proxy.json"
    record = json.loads(place.read_text())
    for case in record["cases"]:
        if case["variant"] != "baseline":
            case["seconds"] = [taken / 10 for taken in case["seconds"]]
    place.write_text(json.dumps(record))
    found = judging.judge(Evidence(runs=tmp_path), the("A1", "proxy"))
    assert (found.id, found.on, found.verdict, found.records) == ("A1", "proxy", REPRODUCED, ("mrss_proxy",))
    place.unlink()
    found = judging.judge(Evidence(runs=tmp_path), the("A1", "proxy"))
    assert found.verdict == NOT_TESTABLE
    assert found.evidence == "There is no record of mrss_proxy on amd-epyc-2-cores."


def test_an_error_of_a_judge_is_no_verdict():
    def wrong():
        return {}["gates"]

    with pytest.raises(KeyError, match="gates"):
        judging.judge(Evidence(), Judge("A9", "mamba", (), wrong))

    def lacking():
        raise Missing("no case of the gate is recorded")

    found = judging.judge(Evidence(), Judge("A9", "mamba", (), lacking))
    assert (found.verdict, found.evidence) == (NOT_TESTABLE, "No case of the gate is recorded.")


@pytest.mark.slow
def test_with_our_records_and_toys_every_claim_is_decided_but_of_what_is_recorded_nowhere():
    found = judging.judged(Evidence(toys.every()))
    nowhere = ("clip", "mamba_gpu")
    assert [(one.id, one.evidence) for one in found if one.verdict == NOT_TESTABLE and one.on not in nowhere] == []


@pytest.mark.slow
@pytest.mark.parametrize("spoil", ["failed", "left out"])
def test_a_record_whose_cases_failed_or_are_left_out_decides_nothing(tmp_path, spoil):
    shutil.copytree(REFERENCE, tmp_path / REFERENCE.name)
    for path in (tmp_path / REFERENCE.name).glob("*.json"):
        if path.name in ("machine.json", "scan.json"):
            continue
        record = json.loads(path.read_text())
        spoiled = [case for case in record["cases"] if case["variant"] not in BASELINES]
        if spoil == "failed":
            for case in spoiled:
                held = {"variant": case["variant"], "parameters": case["parameters"]}
                case.clear()
                case.update(held | {"error": "out of memory: all"})
        else:
            record["cases"] = [case for case in record["cases"] if case not in spoiled] or record["cases"][:1]
        path.write_text(json.dumps(record))
    found = judging.judged(Evidence(runs=tmp_path))
    assert {one.on for one in found if one.verdict != NOT_TESTABLE} <= THEIRS


def test_judges_of_one_kind_can_be_asked_for():
    found = judging.judged(Evidence({"weights_without_gradient": ["a"]}), ["A6"], on="scan")
    assert [(one.id, one.on, one.verdict) for one in found] == [("A6", "scan", CONTRADICTED)]


def test_a_claim_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="claim 'A99': there are A1, A2"):
        judging.judged(Evidence(), ["A99"])


@pytest.mark.parametrize(("changes", "verdict"), [([-1, -1], True), ([-1, 0], False), ([1, -1], False)])
def test_falling_means_every_value_below_the_one_before(changes, verdict):
    assert ledger.falls(pd.Series([3.0, 3.0 + changes[0], 3.0 + sum(changes)])) is verdict


@pytest.mark.parametrize("values", [[], [3.0], [3.0, float("nan")], [3.0, float("nan"), 1.0]])
def test_what_is_alone_or_unknown_does_not_fall(values):
    assert not ledger.falls(pd.Series(values, dtype=float))
