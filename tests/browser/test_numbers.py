"""How many numbers the pages' tables hold in sight: one main table a section, the others behind a fold."""

import re

from bs4 import BeautifulSoup
from built import HTML, PAGES

MOST = 900  # in all chapters together
ALL_CLAIMS = "book/claims.html"  # which is one table of all of them, and is read to look things up
NUMBER = re.compile(r"(?<![\w.])[−-]?\d[\d.,]*")


def in_sight(html: str) -> int:
    tables = BeautifulSoup(html, "html.parser").select("article table")
    return sum(len(NUMBER.findall(one.get_text(" "))) for one in tables if not one.find_parent("details"))


def test_tables_in_sight_hold_few_numbers():
    found = {path: in_sight((HTML / path).read_text()) for path in PAGES if path != ALL_CLAIMS}
    assert sum(found.values()) <= MOST, found


def test_numbers_are_counted_but_for_those_behind_a_fold():
    table = "<table><tr><th>T4</th><td>0.45 (0.43 – 0.46)</td><td>−1,024.5 %</td></tr></table>"
    assert in_sight(f"<article>{table}<details><summary>Table 2: 9 rows</summary>{table}</details></article>") == 4
