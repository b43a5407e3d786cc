"""How many numbers a paragraph of the book holds: few enough to be read, the others in a table with headers.

Checkers return complaints, one line each; none means good.
"""

import re

MOST = 5  # numbers in a paragraph, or in an item of a list
SPREADS = 3  # values with a spread in one sentence are a table

SIGN = "[+−-]?"
NO_PROSE = (  # patterns of what is not read as prose, and what stands in their place
    (re.compile(r"<details>.*?</details>", re.DOTALL), ""),  # folded
    (re.compile(r"!\[[^\]]*\]\([^)]*\)|```\{figure\}.*?```", re.DOTALL), ""),
    (re.compile(r"\]\([^)]*\)"), "]"),  # addresses
    (re.compile(r"^ *```.*?^ *```|\$\$.*?\$\$|<!--.*?-->", re.DOTALL | re.MULTILINE), " "),
    (re.compile(r"`[^`\n]*`|\$[^$]*\$|<[^>]*>|^ *#.*$|^ *\|.*$", re.MULTILINE), " "),
    (re.compile(r"^(?:> ?)+", re.MULTILINE), ""),  # a quotation's marks
)
BREAK = re.compile(r"\n(?:\s*\n)+|\n(?=\s*(?:[-*+]|\d+\.)\s)")  # a blank line, or the next item of a list
ITEM = re.compile(r"^(?:[-*+]|\d+\.)\s+")
SENTENCE = re.compile(r"(?<=[.:?!]) (?=[A-Z*])")

HEADER = re.compile(r"^ *(\|.*\|)\n *\|:?-", re.MULTILINE)
EMPTY = re.compile(r"\|\s*\|")

NAMES = (
    r"(?<!\*)\*(?!\*)[^*]+\*(?!\*)",  # in italics: a variant's, such as *hybrid 1 + 3, r = 8*
    r"\b(?:tables?|figures?|sections?|equations?) \(?[\d.]*\d\)?(?:(?:, | to | and )\(?[\d.]*\d\)?)*",
    rf"\b\w+ = {SIGN}[\d.,]*\d",  # a setting, r = 4
    r"\b(?:python|ipython|torch) \d[\d.]*\d(?: and \d[\d.]*\d)*",
    r"\b(?:SigLIP|MetaCLIP) 2\b",
    r"\b\d+ [x×] \d+ patches|\bMQAR, \d+ blocks|, \d+ cores",  # of a task's and of a machine's name
    r"(?<=[( ])(?:19|20)\d\d(?=[]),.;:])",  # a year
    r"\b95 % intervals?",
)
NAMED = re.compile("|".join(NAMES), re.IGNORECASE)
NUMBER = re.compile(
    rf"(?<![\w./])(?<!\w-){SIGN}\d+(?:,\d{{3}})*(?:\.\d+)?(?: × 10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+|/\d+)?(?![\w/]|-(?!fold)\w)"
)
SPREAD = re.compile(rf"{NUMBER.pattern}(?: %)? (?:± \d|\[{SIGN}\d)")


def paragraphs(text: str) -> list[str]:
    """Paragraphs and items of lists of Markdown, each in one line; only what is read as prose and is not folded."""
    for pattern, instead in NO_PROSE:
        text = pattern.sub(instead, text)
    return [found for part in BREAK.split(text) if (found := " ".join(part.split()))]


def numbers(paragraph: str) -> list[str]:
    """Quantities that a paragraph says: `0.53×`, `+9.4 %`, both bounds of `[2.3, 17.2]`; no names, no references."""
    return NUMBER.findall(NAMED.sub("", ITEM.sub("", paragraph)))


def crowded(where: str, text: str) -> list[str]:
    """Paragraphs of more numbers than can be read."""
    return [
        f"{where}: {len(found)} numbers where at most {MOST} can be read: {paragraph[:60]!r}"
        for paragraph in paragraphs(text)
        if len(found := numbers(paragraph)) > MOST
    ]


def tabular(where: str, text: str) -> list[str]:
    """Sentences that list values with their spreads, which a table would show better."""
    return [
        f"{where}: {SPREADS} values with their spreads are a table: {sentence[:60]!r}"
        for paragraph in paragraphs(text)
        for sentence in SENTENCE.split(paragraph)
        if len(SPREAD.findall(sentence)) >= SPREADS
    ]


def headless(where: str, text: str) -> list[str]:
    """Header rows of tables with an empty cell, of which a screen reader would say nothing."""
    return [f"{where}: a column without a header: {row!r}" for row in HEADER.findall(text) if EMPTY.search(row)]


def complaints(where: str, text: str) -> list[str]:
    """Of all checkers."""
    return crowded(where, text) + tabular(where, text) + headless(where, text)
