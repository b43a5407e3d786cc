"""The single-page book made ready for paper: title page, contents, chapters.

Takes and returns HTML; starts no browser and reads no file.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

from bs4 import BeautifulSoup, Tag

# Of use on a screen only: permalinks, what is folded there (code by MyST-NB,
# solutions of exercises by hand, without a class), widgets.
SCREEN_ONLY = (
    "a.headerlink, details.above-input,"
    "details:not([class]),"
    ".toctree-wrapper > p.caption,"
    'script[type^="application/vnd.jupyter"]'
)
FOLDED = "details.folded-table"  # below the caption, by lib.report.prose
HEADINGS = ("h1", "h2", "h3", "h4", "h5")
REFERENCES = "References"  # of each chapter, and on the first page of all


class Entry(NamedTuple):
    """A line of the table of contents."""

    title: str
    anchor: str


def printable(
    html: str, title: str, byline: str, pages: Mapping[str, int]
) -> str:
    """The page for the printer.

    byline  what stands below the title: author, day, commit
    pages   anchor -> page number, for the table of contents; unknown ones
            stay blank, as in the first of two passes
    """
    soup = BeautifulSoup(html, "html.parser")
    article = soup.select_one("article")
    name_what_is_folded(soup, article)
    for extra in article.select(SCREEN_ONLY):
        extra.decompose()
    for script in soup.select("script"):
        if "mathjax" not in (script.get("src") or script.string or "").lower():
            script.decompose()
    for line in article.select("p:has(> strong:first-child)"):
        if line.get_text().startswith("Table "):
            line["class"] = "table-caption"  # stays with its table
    chapters = list(split(article))
    body = soup.new_tag("main")
    body.append(title_page(soup, title, byline))
    body.append(contents(soup, chapters, pages))
    for number, chapter in enumerate(chapters):
        chapter["class"] = ["chapter"]
        chapter["style"] = f"page: chapter{number}"
        body.append(chapter)
    soup.body.clear()
    soup.body.append(body)
    soup.html["data-theme"] = soup.html["data-mode"] = "light"
    style = soup.new_tag("style")
    style.string = running_heads(title, [heading(one) for one in chapters])
    soup.head.append(style)
    return str(soup)


def sections(html: str) -> list[tuple[Entry, list[Entry]]]:
    """Chapters of the single page and their sections, in order."""
    article = BeautifulSoup(html, "html.parser").select_one("article")
    return [entries(chapter) for chapter in split(article)]


def name_what_is_folded(soup: BeautifulSoup, article: Tag) -> None:
    """A table that the page folds is named on paper, in its place."""
    for fold in article.select(FOLDED):
        line = fold.find_previous("p")
        number, _, rest = " ".join(line.get_text().split()).partition(". ")
        line.clear()
        line.append(soup.new_tag("strong"))
        line.strong.string = f"{number}."
        line.append(f" {rest.partition('. ')[0]}. Folded on the web page.")
        fold.decompose()


def split(article: Tag):
    """The book's pages as sections of their own, titles at the first level."""
    root = article.find("section")
    wrapped = [one for one in root.select(".toctree-wrapper > section")]
    for chapter in wrapped:
        chapter.extract()
        promote(chapter)
    for wrapper in root.select(".toctree-wrapper"):
        wrapper.decompose()
    chapters = [root, *wrapped]
    if referring(root):
        for chapter in wrapped:
            for own in referring(chapter):
                own.decompose()
    tell_apart(chapters)
    return chapters


def referring(chapter: Tag) -> list[Tag]:
    """Sections of references of a chapter itself."""
    below = chapter.find_all("section", recursive=False)
    return [one for one in below if heading(one) == REFERENCES]


def tell_apart(chapters: list[Tag]) -> None:
    """Sections of one name in several chapters get anchors of their own."""
    seen = set()
    for chapter in chapters:
        for section in [chapter, *chapter.find_all("section")]:
            if section["id"] in seen:
                section["id"] = f"{chapter['id']}--{section['id']}"
            seen.add(section["id"])


def promote(chapter: Tag) -> None:
    """Undo the demotion of headings that comes with the single page."""
    by = int(chapter.find(HEADINGS).name[1]) - 1
    for found in chapter.find_all(HEADINGS):
        found.name = f"h{int(found.name[1]) - by}"


def heading(section: Tag) -> str:
    return section.find(HEADINGS).get_text().removesuffix("#").strip()


def title_page(soup: BeautifulSoup, title: str, byline: str) -> Tag:
    page = soup.new_tag("section", attrs={"class": "title-page"})
    for name, text in (("p", title), ("p", byline)):
        line = soup.new_tag(name)
        line.string = text
        page.append(line)
    return page


def contents(soup: BeautifulSoup, chapters: list[Tag], pages: Mapping) -> Tag:
    """Chapters and their sections with links and page numbers."""
    page = soup.new_tag("nav", attrs={"class": "toc-page"})
    page.append(BeautifulSoup("<h1>Contents</h1>", "html.parser"))
    for chapter, below in map(entries, chapters):
        for entry in (chapter, *below):
            line = soup.new_tag("a", href=f"#{entry.anchor}")
            line["class"] = (
                "chapter-line" if entry is chapter else "section-line"
            )
            for text in (entry.title, str(pages.get(entry.anchor, ""))):
                part = soup.new_tag("span")
                part.string = text
                line.append(part)
            page.append(line)
    return page


def entries(chapter: Tag) -> tuple[Entry, list[Entry]]:
    """A chapter and its sections, as the table of contents lists them."""
    below = chapter.find_all("section", recursive=False)
    return entry(chapter), [entry(section) for section in below]


def entry(section: Tag) -> Entry:
    return Entry(heading(section), section["id"])


def running_heads(title: str, chapters: list[str]) -> str:
    """A named page per chapter: book on the left, chapter on the right."""
    rules = []
    for number, chapter in enumerate(chapters):
        left = "" if chapter == title else title
        heads = f"@top-left {{ content: {quoted(left)} }}"
        heads += f" @top-right {{ content: {quoted(chapter)} }}"
        rules.append(f"@page chapter{number} {{ {heads} }}")
    return "\n".join(rules)


def quoted(text: str) -> str:
    """Text as CSS writes a string; JSON's form is one of its forms."""
    return json.dumps(text, ensure_ascii=False)
