"""The original report section by section: every place that is named is there, every claim has its section."""

import nbformat
import pytest
from chapters import cells
from pydantic import ValidationError

from lib import names
from lib.paths import BOOK
from lib.report import sections as report
from lib.report.claims import ledger
from lib.report.claims.outcomes import Outcome
from lib.report.tables import claims as tables

ROWS = report.sections()
OTHERS = ("later notebook", "December 2025", "abstract", "checklists")  # texts beside the numbered sections


def headings(chapter):
    notebook = nbformat.read(BOOK / f"{chapter}.ipynb", as_version=4)
    lines = [line for cell in cells(notebook, "markdown") for line in cell.source.splitlines()]
    return {line.removeprefix("## ") for line in lines if line.startswith("## ")}


HEADINGS = {chapter: headings(chapter) for chapter in names.CHAPTERS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_place_is_a_heading_of_a_chapter(row):
    for chapter, heading in row.at:
        assert heading in HEADINGS[chapter]


def test_sections_are_there_once_and_in_order():
    ids = [row.id for row in ROWS]
    assert len(set(ids)) == len(ids)
    numbers = [(row.id[0], *map(int, row.place[2:].split("."))) for row in ROWS if row.place[2:]]
    assert numbers == sorted(numbers, key=lambda one: one[:2])


def test_every_claim_stands_in_a_section():
    known = {row.place for row in ROWS}
    for claim in ledger.claims().values():
        found = report.places(claim)
        assert found or any(word in claim.section for word in OTHERS), claim.section
        assert found <= known, claim.id


def test_places_of_a_claim():
    claim = next(iter(ledger.claims().values()))
    for text, places in (
        ("B 4.1, 5.3, 7.2", {"B 4.1", "B 5.3", "B 7.2"}),
        ("A 6.3, B 6.1; our question", {"A 6.3", "B 6.1"}),
        ("a later notebook", set()),
        ("checklists of A and B", set()),
    ):
        assert report.places(claim.model_copy(update={"section": text})) == places


def test_the_table_says_what_claims_of_a_section_come_to():
    claim = ledger.claims()["B7"]
    shown = tables.sections([Outcome(claim, "contradicted", ())], "Table 1. A title").data
    (row,) = [line for line in shown.splitlines() if line.startswith("| B 4.1 ")]
    assert "B7 contradicted" in row
    assert "[clip_vtp](clip_vtp.ipynb), *Which tokens can go*" in row
    assert shown.count("B7 contradicted") == len(report.places(claim))
    assert all(f"| {row.id} " in shown for row in ROWS)


@pytest.mark.parametrize(("how", "why"), [("whole", "something"), ("part", ""), ("none", "")])
def test_what_is_missing_is_said(how, why):
    with pytest.raises(ValidationError, match="A 1: what is missing is said"):
        report.Section(id="A 1", says="x", at=(("mrss", "Discussion"),), how=how, why=why)


def test_a_section_of_another_form_is_refused():
    with pytest.raises(ValidationError):
        report.Section(id="C 1", says="x", at=(("mrss", "Discussion"),), how="whole")
