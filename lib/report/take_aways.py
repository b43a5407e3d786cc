"""What a reader should take from a chapter, in words that its records decide, and its key picture.

They stand in the notebook as plain Markdown, so that they are there where nothing was executed: on GitHub, in Colab.
`lib.report.first_pages` writes and draws them. A template, `book/_text/<chapter>/take_aways.md`, makes the words of the
numbers of the chapter's headline; of a chapter without one, of those that its text says.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from lib.paths import BOOK
from lib.report import figures, prose
from lib.report.chapters import ssm_vlm
from lib.report.evidence import Evidence
from lib.report.figures import keys
from lib.report.frames.clip_equal import outcome
from lib.report.headlines.case import Headline, Measured

ASSETS = BOOK / "_assets"
TAKEN = "**What to take away**"  # before which the picture stands
OWN = {"ssm_vlm": ssm_vlm.numbers}  # chapters without a headline, for which an accuracy is needed
RESULTS = {"ssm_background": 3}  # number of the sentence that tells a chapter's result; elsewhere the first
CELL = "take-aways"  # the cell's id
FIRST = "<!-- take-aways: python -m lib.report.first_pages -->"


@dataclass(frozen=True)
class Numbers:
    """What a template reads.

    of          name -> a number of the headline, its own or beside it
    side        name -> AHEAD, LEVEL or BEHIND of nothing, where it has an interval; `retained`, the same of all
    gains       those whose names begin with "gain", and `ranks` with "low rank"
    sizes       of the headline's model
    elsewhere   where such a model is not shown to help, in sentences
    """

    of: Mapping[str, Measured]
    side: Mapping[str, str]
    retained: Mapping[str, str]
    gains: list[Measured]
    ranks: list[Measured]
    sizes: Mapping[str, int]
    elsewhere: str


def written(headline: Headline, evidence: Evidence) -> str:
    """The cell's text for a chapter: its question, its picture, what to take away."""
    said = pictured(headline.chapter, rendered(headline), evidence)
    # Where the chapter was executed its abstract says the same, and the page hides this (report.css).
    return f'{said}\n\n<div class="unexecuted">\n\nIn numbers: {headline.text}\n\n</div>'


def pictured(chapter: str, said: str, evidence: Evidence) -> str:
    """Question and sentences of a chapter, with its picture between them."""
    shown = f"{picture(chapter, evidence)}\n\n{TAKEN}"
    return f"{FIRST}\n\n{said.replace(TAKEN, shown, 1)}"


def result(headline: Headline) -> str:
    """Of a chapter's sentences in words the one that tells its result."""
    start = f"{RESULTS.get(headline.chapter, 1)}. "
    return next(line.removeprefix(start) for line in rendered(headline).splitlines() if line.startswith(start))


def rendered(headline: Headline) -> str:
    """Question and sentences of a chapter, by its template."""
    gains, ranks = (
        [one for name, one in headline.numbers.items() if name.startswith(start)] for start in ("gain", "low rank")
    )
    ends = {name: (one.low, one.high) for name, one in headline.numbers.items() if one.low is not None}
    side, retained = ({name: outcome(low - to, high - to) for name, (low, high) in ends.items()} for to in (0, 1))
    numbers = Numbers(headline.numbers, side, retained, gains, ranks, headline.model.sizes, headline.elsewhere)
    return prose.render(f"{headline.chapter}/take_aways", numbers).data


def picture(chapter: str, evidence: Evidence) -> str:
    """A chapter's key picture with its caption, as the cell embeds it."""
    said = keys.described(chapter, evidence).replace('"', "”")
    return f"![{said}](_assets/{place(chapter).name})\n\n*{keys.KEYS[chapter].CAPTION}*"


def place(chapter: str, folder: Path = ASSETS) -> Path:
    """The file of a chapter's key picture."""
    return folder / f"key_{chapter}.svg"


def draw(chapter: str, evidence: Evidence, folder: Path = ASSETS) -> None:
    """Write a chapter's key picture, with what it shows in its description."""
    figures.style()
    figure = Figure(figsize=keys.SIZE, layout="constrained")
    key = keys.KEYS[chapter]
    key.draw(figure.subplots(), key.rows(evidence))
    about = {"Description": keys.described(chapter, evidence), "Date": None}  # the date would differ every time
    with rc_context({"svg.hashsalt": chapter}):
        figure.savefig(place(chapter, folder), metadata=about)


def filled(notebook: Path, said: str) -> str:
    """A notebook's file with these words in its cell.

    raises   ValueError, naming the notebook, where it has no such cell
    """
    held = json.loads(notebook.read_text())
    cells = [cell for cell in held["cells"] if cell.get("id") == CELL]
    if len(cells) != 1:
        raise ValueError(f"{notebook}: {len(cells)} cells of the id {CELL!r}, one is needed")
    cells[0]["source"] = said.splitlines(keepends=True)
    return json.dumps(held, indent=1, ensure_ascii=False) + "\n"


def pages(found: list[Headline], evidence: Evidence) -> dict[Path, str]:
    """Notebook -> the words of its cell."""
    said = {one.chapter: written(one, evidence) for one in found}
    for chapter, numbers in OWN.items():
        text = prose.render(f"{chapter}/take_aways", numbers(evidence)).data
        said[chapter] = pictured(chapter, text, evidence)
    return {BOOK / f"{chapter}.ipynb": words for chapter, words in said.items()}
