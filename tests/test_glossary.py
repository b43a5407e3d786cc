"""The glossary of lib and the notation page name the same symbols with the same words."""

import re

import lib
from lib.paths import BOOK


def test_the_glossary_and_the_notation_page_agree():
    glossary = dict(re.findall(r"^    (\w)  (.+)$", lib.__doc__, re.MULTILINE))
    page = dict(re.findall(r"^\| \$(\w)\$ \| (.+) \|$", (BOOK / "notation.md").read_text(), re.MULTILINE))
    assert glossary == page
    assert glossary
