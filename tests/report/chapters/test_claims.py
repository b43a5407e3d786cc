"""What the verdict's text says of outcomes, from checks that one can count by hand."""

import json

import pytest

from lib.paths import BOOK
from lib.report.chapters import claims as chapter
from lib.report.claims import judging
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, JUDGES, NOT_TESTABLE, REPRODUCED, UNSUPPORTED, Verdict
from lib.report.claims.outcomes import MIXED, OUTCOMES, outcomes
from lib.report.evidence import Evidence


def found(**claims):
    """Outcomes of claims, subject -> word."""
    return outcomes(
        [
            Verdict("Seen.", words.get(one.on, NOT_TESTABLE), one.id, one.on)
            for id_, words in claims.items()
            for one in JUDGES
            if one.id == id_
        ]
    )


def test_sums_are_clauses_of_the_words_that_occur():
    assert chapter.sums([REPRODUCED, CORRECTED, MIXED, MIXED, NOT_TESTABLE]) == [
        "1 is reproduced",
        "1 holds with a correction",
        "2 depend on the form",
        "1 cannot be tested here",
    ]
    assert chapter.sums([CORRECTED, CORRECTED, UNSUPPORTED, UNSUPPORTED]) == [
        "2 hold with a correction",
        "2 are unsupported",
    ]
    assert len(chapter.sums(OUTCOMES)) == len(OUTCOMES)


def test_checks_that_differ_are_named_with_their_subjects():
    words = {"A6": {"proxy": CONTRADICTED, "scan": REPRODUCED}, "A8": {"mamba": CONTRADICTED}}
    (one,) = chapter.differing(found(**words), MIXED)
    assert one.name == "A6"
    assert one.clauses == ["reproduced on MRSS on the real scan", "contradicted on MRSS as its operator proxy"]


def test_an_unsupported_claim_is_named_where_one_of_its_checks_decides():
    open_, mixed = {"proxy": CONTRADICTED, "scan": UNSUPPORTED}, {"proxy": CONTRADICTED, "scan": REPRODUCED}
    (one,) = chapter.differing(found(A2=open_, A6=mixed, A8={"mamba": UNSUPPORTED}), UNSUPPORTED)
    assert (one.name, one.clauses) == (
        "A2",
        ["unsupported on MRSS on the real scan", "contradicted on MRSS as its operator proxy"],
    )


def test_what_small_models_say_of_claims_that_cannot_be_tested_is_named_as_theirs():
    words = {"small_clips": CONTRADICTED}
    (one,) = chapter.beside(found(B6=words, B9=words, A8={"mamba": CONTRADICTED}))
    assert (one.name, one.clauses) == ("small CLIPs", ["B6 and B9 contradicted"])
    assert chapter.beside(found(B6=words | {"clip": REPRODUCED})) == []


def test_claims_that_small_models_alone_speak_of_are_in_no_other_list():
    (one,) = found(B6={"small_clips": CONTRADICTED})
    assert one.word == NOT_TESTABLE


@pytest.mark.slow
def test_the_numbers_of_our_records_agree_with_each_other():
    from lib.experiments import toys

    evidence = Evidence(toys.every())
    numbers = chapter.numbers(evidence, judging.judged(evidence))
    by_word = (numbers.reproduced, numbers.corrected, numbers.unsupported, numbers.contradicted, numbers.untestable)
    assert sum(map(len, by_word)) + len(numbers.mixed) == numbers.claims
    assert sum(int(clause.split()[0]) for clause in numbers.sums) == numbers.facts < numbers.claims
    assert set(numbers.own_contradicted) <= set(numbers.contradicted)


def test_no_first_check_counts():
    texts = [path.read_text() for path in (BOOK / "_text/claims").glob("*.md")]
    texts.append((BOOK / "claims.ipynb").read_text())
    assert not [text for text in texts if "first counts" in text or "which counts in sums" in text]
    cells = json.loads((BOOK / "claims.ipynb").read_text())["cells"]
    assert sum("tables.verdicts(" in "".join(cell["source"]) for cell in cells) == 1
