r"""Every mention of a figure, table or equation of its page, as a link to it.

Captions and tags, such as "Figure 3." and \tag{2}, get an anchor each.
Mentions, such as "Tables 8 and 9" and "equation (2)", lead there.
"""

import re

from docutils import nodes
from sphinx import addnodes

CAPTION = re.compile(r"^(Figure|Table) (\w+)\.$")
TAG = re.compile(r"\\tag\{(\w+)\}")
NUMBER = r"\d+[a-z]?(?!\w|\.\d)"
MENTION = re.compile(
    rf"\b(Figure|Table)s? ({NUMBER})|\b([Ee]quation)s? \((\d+)\)"
)
NEXT = re.compile(  # of "Tables 8 and 9", of "equations (4) and (5)"
    rf",? (?:and|to) (?:({NUMBER})|(\((\d+)\)))"
)
# Where a mention is no prose, or has a meaning of its own already.
ELSEWHERE = (
    nodes.literal,
    nodes.literal_block,
    nodes.reference,
    nodes.title,
    nodes.table,
    nodes.math,
    nodes.raw,
    nodes.image,
)

Anchors = dict[tuple[str, str, str], str]  # page, kind, number -> anchor


def link_mentions(app, doctree, name: str) -> None:
    """Give anchors to what is numbered, then link what mentions it."""
    if app.builder.format != "html":
        return
    anchors = numbered(doctree, name)
    for paragraph in doctree.findall(nodes.paragraph):
        page, caption = owner(paragraph, name), captioned(paragraph)
        for text in list(paragraph.findall(nodes.Text)):
            if within(text, ELSEWHERE) or (caption and text is first(caption)):
                continue
            _link(text, page, anchors)


def numbered(doctree, name: str) -> Anchors:
    """Anchors of all captions and tagged equations, which are set here."""
    found: Anchors = {}
    for paragraph in doctree.findall(nodes.paragraph):
        if caption := captioned(paragraph):
            kind, number = CAPTION.match(caption.astext()).groups()
            _anchor(found, paragraph, (owner(paragraph, name), kind, number))
    for block in doctree.findall(nodes.math_block):
        for number in TAG.findall(block.astext()):
            _anchor(found, block, (owner(block, name), "Equation", number))
    return found


def captioned(paragraph: nodes.paragraph) -> nodes.strong | None:
    """The bold number that a paragraph begins with, if it is a caption."""
    begins = paragraph.children[0] if paragraph.children else None
    is_one = isinstance(begins, nodes.strong) and CAPTION.match(begins.astext())
    return begins if is_one else None


def owner(node: nodes.Node, name: str) -> str:
    """The page that a node stands on; a single page holds them all."""
    while node.parent is not None:
        node = node.parent
        if isinstance(node, addnodes.start_of_file):
            return node["docname"]
    return name


def first(node: nodes.Node) -> nodes.Text:
    return next(iter(node.findall(nodes.Text)))


def within(node: nodes.Node, kinds: tuple) -> bool:
    while node is not None:
        if isinstance(node, kinds):
            return True
        node = node.parent
    return False


def _anchor(found: Anchors, node, key: tuple[str, str, str]) -> None:
    if key not in found:
        page, kind, number = key
        found[key] = f"{page.rpartition('/')[2]}-{kind.lower()}-{number}"
        node["ids"] = [*node.get("ids", []), found[key]]


def _link(text: nodes.Text, page: str, anchors: Anchors) -> None:
    said, parts, at = text.astext(), [], 0
    for match in MENTION.finditer(said):
        kind = (match[1] or match[3]).capitalize()
        spans = [(match.start(), match.end(), match[2] or match[4])]
        more = NEXT.match(said, match.end())
        if more and bool(more[1]) == bool(match[2]):
            begins = more.start(1 if more[1] else 2)
            spans.append((begins, more.end(), more[1] or more[3]))
        for start, end, number in spans:
            if anchor := anchors.get((page, kind, number)):
                parts.append(nodes.Text(said[at:start]))
                parts.append(to(anchor, said[start:end]))
                at = end
    if parts:
        text.parent.replace(text, [*parts, nodes.Text(said[at:])])


def to(anchor: str, words: str) -> nodes.reference:
    return nodes.reference("", words, refuri=f"#{anchor}", internal=True)


def setup(app) -> dict:
    app.connect("doctree-resolved", link_mentions)
    return {
        "version": "1",
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
