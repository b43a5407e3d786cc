"""The first mention of a glossary's word on each page, as a link that says it.

The link's title is the sentence of `book/glossary.md`; report.css shows it on
hover and on keyboard focus. Of HTML pages only: on paper a word is a word.
"""

import re
from pathlib import Path

from crossrefs import ELSEWHERE, within
from docutils import nodes

PAGE = "book/glossary"
FENCE = re.compile(r"^```\{glossary\}\n(.*?)^```", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^(\S.*)\n((?:  .+\n?)+)", re.MULTILINE)


def entries(source: str) -> dict[str, str]:
    """Word -> its sentence, of the glossary's Markdown."""
    return {
        word: " ".join(said.split())
        for block in FENCE.findall(source)
        for word, said in ENTRY.findall(block)
    }


def link_first_mentions(app, doctree, name: str) -> None:
    """Link each word once, where it stands first in a paragraph's own text."""
    if app.builder.name != "html" or name == PAGE:
        return
    if PAGE not in app.env.found_docs:  # a book without a glossary
        return
    waiting = dict(entries(Path(app.srcdir, f"{PAGE}.md").read_text()))
    target = app.builder.get_relative_uri(name, PAGE)
    for paragraph in doctree.findall(nodes.paragraph):
        if not waiting:
            return
        if within(paragraph, (nodes.table,)):
            continue
        for text in list(paragraph.findall(nodes.Text)):
            if not within(text, ELSEWHERE):
                _link(text, waiting, target)


def _link(text: nodes.Text, waiting: dict[str, str], target: str) -> None:
    """Replace the first mention of one word in this text, then look on."""
    found = [
        (match.start(), -len(word), word, match)
        for word in waiting
        if (match := _mention(word).search(text.astext()))
    ]
    if not found:
        return
    *_, word, match = min(found, key=lambda one: one[:2])
    whole, start, end = text.astext(), *match.span()
    anchor = f"term-{word.replace(' ', '-')}"  # as Sphinx writes it
    link = nodes.reference(
        "",
        whole[start:end],
        refuri=f"{target}#{anchor}",
        reftitle=waiting.pop(word),
        classes=["term"],
        internal=True,
    )
    rest = nodes.Text(whole[end:])
    text.parent.replace(text, [nodes.Text(whole[:start]), link, rest])
    _link(rest, waiting, target)


def _mention(word: str) -> re.Pattern:
    """The word, one or several; small letters or not, unless it is a name."""
    any_case = 0 if word != word.lower() else re.IGNORECASE
    return re.compile(rf"\b{re.escape(word)}(?:e?s)?\b", any_case)


def setup(app) -> dict:
    app.connect("doctree-resolved", link_first_mentions)
    return {
        "version": "1",
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
