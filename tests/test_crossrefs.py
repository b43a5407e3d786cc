"""Mentions of figures, tables and equations lead to them, and to nothing that is not on the same page."""

from types import SimpleNamespace

import crossrefs
import pytest
from docutils import nodes
from docutils.utils import new_document
from sphinx import addnodes

PAGE = "book/mrss"


def caption(number):
    return nodes.paragraph("", "", nodes.strong("", f"{number}."), nodes.Text(" What is shown, as in Figure 1."))


def said(text):
    return nodes.paragraph("", "", nodes.Text(text))


def linked(*children, name=PAGE, format="html"):
    found = new_document("page")
    found += children
    crossrefs.link_mentions(SimpleNamespace(builder=SimpleNamespace(format=format)), found, name)
    return found


def links(found):
    return [(one.astext(), one["refuri"]) for one in found.findall(nodes.reference)]


EVERYTHING = [caption("Figure 1"), caption("Table 2"), caption("Table 3b"), nodes.math_block("", r"a = b \tag{4}")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See Figure 1.", [("Figure 1", "#mrss-figure-1")]),
        ("Tables 2 and 3b say it.", [("Tables 2", "#mrss-table-2"), ("3b", "#mrss-table-3b")]),
        (
            "Equation (4), by equation (4).",
            [("Equation (4)", "#mrss-equation-4"), ("equation (4)", "#mrss-equation-4")],
        ),
        ("Equations (4) and (4) are one.", [("Equations (4)", "#mrss-equation-4"), ("(4)", "#mrss-equation-4")]),
        ("Table 2 and (4) things.", [("Table 2", "#mrss-table-2")]),
        ("Figure 2 is not here, nor is Table 2.1 or Figure 12.", []),
        ("A figure 1 in small letters, and Prefigure 1.", []),
    ],
)
def test_a_mention_leads_to_what_it_names(text, expected):
    found = linked(*[one.deepcopy() for one in EVERYTHING], said(text))
    last = [*found.findall(nodes.paragraph)][-1]
    assert last.astext() == text
    assert links(last) == expected


def test_every_link_has_its_anchor_and_every_anchor_is_one():
    found = linked(*[one.deepcopy() for one in EVERYTHING], said("Figure 1, Table 2, Table 3b and equation (4)."))
    anchors = [one for node in found.findall(nodes.Element) for one in node["ids"]]
    assert len(anchors) == len({*anchors}) == len(EVERYTHING)
    assert {uri for _, uri in links(found)} == {f"#{anchor}" for anchor in anchors}


def test_a_caption_does_not_lead_to_itself():
    found = linked(caption("Figure 1"))
    assert links(found) == [("Figure 1", "#mrss-figure-1")]  # the one in its text


def test_pages_of_a_single_page_keep_apart():
    pages = []
    for name in ("book/mrss", "book/lora"):
        page = addnodes.start_of_file(docname=name)
        page += [caption("Figure 1"), said("Figure 1.")]
        pages.append(page)
    found = linked(*pages, name="book/intro")
    for page, word in zip(pages, ("mrss", "lora"), strict=True):
        assert {uri for _, uri in links(page)} == {f"#{word}-figure-1"}
    assert len({*(one for node in found.findall(nodes.Element) for one in node["ids"])}) == 2


@pytest.mark.parametrize("around", [nodes.literal, nodes.reference, nodes.title], ids=lambda kind: kind.__name__)
def test_what_is_no_prose_is_left_as_it_is(around):
    given = nodes.paragraph("", "", around("", "Figure 1", refuri="elsewhere"))
    found = linked(given, nodes.paragraph("", "", nodes.strong("", "Figure 1.")))
    assert [uri for _, uri in links(found) if uri != "elsewhere"] == []


def test_paper_of_another_kind_is_left_alone():
    assert links(linked(caption("Figure 1"), said("Figure 1."), format="latex")) == []
