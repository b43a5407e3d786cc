"""README and intro: the headlines and their picture between two marks, as the records have them.

And each chapter's take-aways with its key picture, see `lib.report.take_aways`. A test holds them to the records. After
a recording: `python -m lib.report.first_pages` writes them anew.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from lib.paths import BOOK, ROOT
from lib.report import figures, take_aways
from lib.report.evidence import Evidence
from lib.report.figures import headlines as drawn
from lib.report.figures import keys
from lib.report.frames import Missing
from lib.report.headlines import Headline, headlines, listed

FIRST, LAST = "<!-- headlines: python -m lib.report.first_pages -->", "<!-- until here -->"
REPOSITORY = "https://github.com/denis7-jean/ece1512-projectA/blob/main"
PAGES = {  # file -> addresses of a chapter and of a record
    ROOT / "README.md": ("book/{}.ipynb", "data/runs/{}"),
    BOOK / "intro.md": ("{}.ipynb", REPOSITORY + "/data/runs/{}"),
}
ADDRESSES = {page.name: addresses for page, addresses in PAGES.items()}
PICTURE = BOOK / "_assets/headlines"
KINDS = (".svg", ".png")  # for pages, and for what shows no drawings
FOLDING = ("README.md",)  # files whose readers can open and close what is folded
GALLERY = ("mrss", "kernel_distillation", "clip_vtp")
SHOWN = {  # file -> the picture, with its text alternative, as this page embeds it
    "README.md": '<img src="book/_assets/headlines.png" width="440" alt="{}">',
    "intro.md": (
        "```{{figure}} _assets/headlines.*\n:width: 440px\n:alt: '{}'\n\n"
        "Time relative to the baseline's, log axis, drawn from the cases above.\n```"
    ),
}


def filled(page: Path, found: Sequence[Headline], evidence: Evidence) -> str:
    """A page's text, with the headlines of these records and their picture between its marks.

    raises   ValueError, naming the page, where there are no marks
    """
    text = page.read_text()
    pattern = re.compile(f"({re.escape(FIRST)}\n).*?({re.escape(LAST)})", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"{page}: no line {FIRST!r} with {LAST!r} after it")
    numbers = f"{listed(found, evidence, *PAGES[page])}\n\n{shared(found)}"
    parts = [in_words(found, PAGES[page][0]), picture(page, found)]
    if page.name in FOLDING:
        numbers = f"<details>\n<summary>In numbers</summary>\n\n{numbers}\n\n</details>"
        parts.append(gallery(evidence))
    block = "\n\n".join([*parts, numbers])
    return pattern.sub(lambda marks: f"{marks[1]}\n{block}\n\n{marks[2]}", text)


def in_words(found: Sequence[Headline], chapter: str) -> str:
    """What came out, chapter by chapter, with its address."""
    return "\n".join(f"- **[{one.topic}]({chapter.format(one.chapter)}).** {take_aways.result(one)}" for one in found)


def gallery(evidence: Evidence) -> str:
    """Key pictures of some chapters side by side, as HTML that leads to them."""
    shown = []
    for chapter in GALLERY:
        said = keys.described(chapter, evidence).replace('"', "”")
        place = take_aways.place(chapter).relative_to(ROOT).as_posix()
        shown.append(f'<a href="book/{chapter}.ipynb"><img src="{place}" width="32%" alt="{said}"></a>')
    return "\n".join(shown)


def shared(found: Sequence[Headline]) -> str:
    """What holds for all headlines, and which cases they are."""
    return (
        f"All of it was recorded on one machine ({found[0].machine}). Times and memory are ratios to a baseline that "
        "was run in turns, or in the same sweep of trainings; what follows ± or stands in brackets is a 95 % interval. "
        "Multi-resolution models are those of tagging, distilled ones those of the digits, which alone are timed. "
        "Small CLIPs are those of "
        "photographs, CIFAR-10, where their own image tower is timed."
    )


def picture(page: Path, found: Sequence[Headline]) -> str:
    """The picture as a page embeds it."""
    return SHOWN[page.name].format(drawn.described(found).replace("'", "’").replace('"', "”"))


def draw(found: Sequence[Headline], path: Path) -> None:
    """Write the picture in every kind, with what it shows in its description."""
    said = drawn.described(found)
    figures.style()
    figure = Figure(figsize=drawn.SIZE, layout="constrained")
    drawn.proposed_and_reached(figure.subplots(), found)
    for kind in KINDS:
        other = {"Date": None} if kind == ".svg" else {"Software": None}  # what would differ every time
        with rc_context({"svg.hashsalt": "headlines"}):
            figure.savefig(path.with_suffix(kind), dpi=200, metadata={"Description": said} | other)


def main() -> None:
    """Write headlines into README and intro, and what to take away into chapters, and draw all pictures.

    Without records nothing is written.
    """
    evidence = Evidence()
    try:
        found = headlines(evidence)
        chapters = take_aways.pages(found, evidence)
    except Missing as error:
        sys.exit(f"{error}: nothing is written")
    for page in PAGES:
        page.write_text(filled(page, found, evidence))
    for notebook, said in chapters.items():
        notebook.write_text(take_aways.filled(notebook, said))
        take_aways.draw(notebook.stem, evidence)
    draw(found, PICTURE)


if __name__ == "__main__":
    main()
