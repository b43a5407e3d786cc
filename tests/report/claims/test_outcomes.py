"""What several checks of a claim come to, and how facts are counted."""

from itertools import combinations_with_replacement

import pytest

from lib.report.claims import judging  # noqa: F401 (registers all judges)
from lib.report.claims.ledger import (
    CONTRADICTED,
    CORRECTED,
    JUDGES,
    NOT_TESTABLE,
    REPRODUCED,
    UNSUPPORTED,
    VERDICTS,
    Verdict,
    claims,
)
from lib.report.claims.outcomes import MIXED, OUTCOMES, agreed, facts, outcomes


def checks(claim, default=NOT_TESTABLE, **words):
    """A verdict of every judge of a claim, of these words by subject."""
    return [Verdict("Seen.", words.get(one.on, default), claim, one.on) for one in JUDGES if one.id == claim]


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ([], NOT_TESTABLE),
        ([NOT_TESTABLE], NOT_TESTABLE),
        ([REPRODUCED, NOT_TESTABLE], REPRODUCED),
        ([CONTRADICTED, CONTRADICTED], CONTRADICTED),
        ([CONTRADICTED, REPRODUCED], MIXED),
        ([UNSUPPORTED, CORRECTED, NOT_TESTABLE], UNSUPPORTED),
        ([UNSUPPORTED, CONTRADICTED, CORRECTED], MIXED),
        ([UNSUPPORTED, MIXED], MIXED),  # of claims that share a fact
    ],
)
def test_checks_agree_or_depend_on_the_form(words, outcome):
    assert agreed(words) == agreed(words[::-1]) == outcome


@pytest.mark.parametrize(("one", "other"), list(combinations_with_replacement(VERDICTS, 2)))
def test_two_checks_of_every_combination(one, other):
    pair = {one, other}
    if len(pair) == 1:
        outcome = one
    elif NOT_TESTABLE in pair:
        (outcome,) = pair - {NOT_TESTABLE}
    else:
        outcome = UNSUPPORTED if UNSUPPORTED in pair else MIXED
    assert agreed([one, other]) == agreed([other, one]) == outcome


def test_a_check_that_is_open_leaves_the_claim_open():
    (one,) = outcomes(checks("A2", proxy=CONTRADICTED, scan=UNSUPPORTED))
    assert one.word == UNSUPPORTED


def test_the_order_of_checks_decides_nothing():
    found = checks("A3", table=CONTRADICTED, proxy=CONTRADICTED, scan=REPRODUCED)
    assert {outcomes(order)[0].word for order in (found, found[::-1])} == {MIXED}


def test_a_check_on_another_subject_is_shown_and_decides_nothing():
    found = checks("B5", small_clips=CONTRADICTED)
    (one,) = outcomes(found)
    assert one.word == NOT_TESTABLE
    assert [check.verdict for check in one.checks if check.on == "small_clips"] == [CONTRADICTED]
    assert one.checks[-1].on == "small_clips"  # after those that decide
    assert not one.checks[-1].decides


def test_a_part_of_the_checks_is_refused():
    found = [one for one in checks("A3", REPRODUCED) if one.on != "proxy"]
    with pytest.raises(ValueError, match="A3 has a check on 'proxy', too, which is left out"):
        outcomes(found)


def test_claims_that_share_a_fact_count_once():
    sharing = ("A1", "A3", "A13", "A16")
    assert {claims()[one].fact for one in sharing} == {"table 6.3"}
    every = [check for one in (*sharing, "A8", "A9") for check in checks(one, CONTRADICTED)]
    found = facts(outcomes(every))
    assert [(one.ids, one.word) for one in found] == [
        (sharing, CONTRADICTED),
        (("A8",), CONTRADICTED),
        (("A9",), CONTRADICTED),
    ]
    differing = [check for one in sharing for check in checks(one, CORRECTED if one == "A13" else CONTRADICTED)]
    assert [one.word for one in facts(outcomes(differing))] == [MIXED]


def test_no_judge_names_the_word_for_checks_that_differ():
    assert MIXED not in VERDICTS
    assert set(OUTCOMES) == {*VERDICTS, MIXED}
