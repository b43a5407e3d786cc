"""The PDF's own shape: paper cannot fold code away, nor hold a page apart.

Sphinx would make a chapter of every section of the first page, and it moves the
bibliography to the end, away from the heading that announced it.
"""

from docutils import nodes
from sphinx import addnodes

FIRST_CHAPTER = "About this report"


def leave_out_folded_code(doctree) -> None:
    """Inputs that the web page hides behind a button are not printed."""
    for cell in doctree.findall(nodes.container):
        if "tag_hide-input" in cell["classes"]:
            cell.children = [
                part
                for part in cell.children
                if "cell_input" not in part["classes"]
            ]


def leave_out_solutions(doctree) -> None:
    """From <details> to </details>: what a chapter folds is not printed."""
    for first in list(doctree.findall(nodes.raw)):
        if first.astext().startswith("<details"):
            parts = first.parent.children
            start = end = parts.index(first)
            while parts[end].astext().strip() != "</details>":
                end += 1
            del first.parent[start : end + 1]


def leave_out_widgets(doctree) -> None:
    """A widget is no more than its name on paper; a figure stands beside it."""
    for block in list(doctree.findall(nodes.literal_block)):
        if block.astext().startswith("VBox("):
            block.parent.remove(block)


def say_what_diagrams_show(doctree) -> None:
    """LaTeX cannot include SVG: a diagram's text alternative stands for it."""
    for image in list(doctree.findall(nodes.image)):
        if image["uri"].endswith(".svg") and image.get("alt"):
            image.replace_self(nodes.emphasis("", image["alt"]))


def leave_out_empty_sections(doctree) -> None:
    """A heading over nothing is not printed: its bibliography has moved."""
    for section in list(doctree.findall(nodes.section)):
        _, *parts = section.children
        if not any(part.children for part in parts):
            section.parent.remove(section)


def gather_first_chapter(doctree) -> None:
    """The first page's text and sections become one chapter."""
    first = next(doctree.findall(nodes.section))
    title, *parts = first.children
    own, later = [], []
    for part in parts:
        other_pages = next(part.findall(addnodes.start_of_file), None)
        (own if other_pages is None else later).append(part)
    chapter = nodes.section("", nodes.title("", FIRST_CHAPTER), *own)
    first.children = []
    first.extend([title, chapter, *later])


def arrange(app, doctree, docname) -> None:
    if app.builder.format == "latex":
        leave_out_folded_code(doctree)
        leave_out_solutions(doctree)
        leave_out_widgets(doctree)
        say_what_diagrams_show(doctree)
        leave_out_empty_sections(doctree)
        gather_first_chapter(doctree)


def setup(app) -> dict:
    app.connect("doctree-resolved", arrange)
    return {
        "version": "1",
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
