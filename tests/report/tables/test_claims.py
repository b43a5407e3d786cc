"""Tables of claims: every check stands under its subject's name."""

import pytest

from lib.report.claims import judging  # noqa: F401 (registers all judges)
from lib.report.claims.ledger import CONTRADICTED, JUDGES, NOT_TESTABLE, REPRODUCED, Verdict
from lib.report.tables import claims as tables


def checks(claim, records=(), **words):
    found = [(one.on, words.get(one.on, NOT_TESTABLE)) for one in JUDGES if one.id == claim]
    return [Verdict(f"Seen of {on}.", word, claim, on, records) for on, word in found]


def test_every_check_has_a_row_under_its_own_name_and_the_claim_one_outcome():
    text = tables.verdicts(checks("A6", proxy=CONTRADICTED, scan=REPRODUCED), "caption").data
    rows = text.splitlines()[4:]
    assert len(rows) == 2
    assert text.count("A learned gate") == text.count("**depends on the form**") == 1
    assert "*On MRSS as its operator proxy*: contradicted. Seen of proxy." in rows[0]
    assert "*On MRSS on the real scan*: reproduced. Seen of scan." in rows[1]


def test_evidence_of_another_kind_is_named_and_the_claim_is_not_testable():
    text = tables.verdicts(checks("B6", small_clips=CONTRADICTED), "caption").data
    assert "**not testable here**" in text
    assert "*On small CLIPs, for comparison*: contradicted. Seen of small_clips." in text


def test_a_claim_names_those_with_which_it_shares_a_fact():
    text = tables.verdicts(checks("A16", table=CONTRADICTED), "caption").data
    assert "It rests on one fact with A1, A3, A13" in text


@pytest.mark.parametrize(
    ("records", "named"),
    [(("ssm_scaling",), "[ssm_scaling](there/it.json)"), ((), "the original report's tables and this page")],
)
def test_checks_end_with_their_records_and_their_chapter_where_they_are_known(records, named):
    text = tables.verdicts(checks("A9", records, mamba=CONTRADICTED), "caption", {"ssm_scaling": "there/it.json"}).data
    assert f"Seen of mamba. From: {named}. More: [ssm_background](ssm_background.ipynb)." in text


def test_subjects_show_what_they_decide_and_what_stands_beside():
    found = [*checks("B6", small_clips=CONTRADICTED), *checks("A6", proxy=CONTRADICTED, scan=REPRODUCED)]
    lines = tables.subjects(found, "caption").data.splitlines()[4:]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    rows = {subject.split(",")[0]: rest for _, subject, *rest, _ in cells}
    assert rows["small CLIPs"] == ["–", "B6"]
    assert rows["MRSS on the real scan"] == ["A6", "–"]
