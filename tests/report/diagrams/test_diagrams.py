"""Diagrams: files are what the code draws, pages embed them with their words, and nothing leaves its frame."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from lib.paths import BOOK
from lib.report.diagrams import DIAGRAMS, FOLDER, distillation, embedded, multi_resolution, selection, svg
from lib.report.diagrams.drawing import COLOURS, GROUND, WIDTH, Drawing

SPACE = "{http://www.w3.org/2000/svg}"
EM, BOLD = 0.5, 0.6  # of a letter's height: how wide letters of a wide sans are, on average


def pages():
    """Name of every page -> its Markdown."""
    found = {"intro": (BOOK / "intro.md").read_text()}
    for path in BOOK.glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        found[path.stem] = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return found


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_the_files_are_what_the_code_draws():
    assert {path.stem for path in FOLDER.glob("*")} == set(DIAGRAMS)
    for name in DIAGRAMS:
        assert (FOLDER / f"{name}.svg").read_text() == svg(name), f"{name}: python -m lib.report.diagrams"


@pytest.mark.parametrize("name", DIAGRAMS)
def test_one_page_embeds_a_diagram_with_its_words(name):
    assert sum(text.count(embedded(name)) for text in pages().values()) == 1
    assert sum(text.count(f"/{name}.svg") for text in pages().values()) == 1
    assert not re.search(r"[\[\]]", DIAGRAMS[name].ALT)


@pytest.mark.parametrize("name", DIAGRAMS)
def test_no_text_leaves_the_drawing(name):
    drawn = ElementTree.fromstring(svg(name))
    assert drawn.get("viewBox") == f"0 0 {WIDTH} {DIAGRAMS[name].draw().height}"
    for text in drawn.iter(f"{SPACE}text"):
        letter = (BOLD if text.get("font-weight") else EM) * float(text.get("font-size"))
        width = letter * len(text.text.strip())
        left = float(text.get("x")) - {"start": 0, "middle": width / 2, "end": width}[text.get("text-anchor")]
        assert left >= -2, text.text
        assert left + width <= WIDTH + 2, text.text
        assert 0 < float(text.get("y")) <= DIAGRAMS[name].draw().height - 3, text.text


@pytest.mark.parametrize("kind", COLOURS)
def test_words_are_legible_on_every_ground_in_both_modes(kind):
    for dark in (0, 1):
        fill, _, ink = COLOURS[kind][3 * dark : 3 * dark + 3]
        assert contrast(GROUND[dark] if fill == "none" else fill, ink) >= 4.5


def test_a_name_that_looks_like_markup_is_written_as_text():
    made = Drawing(40, "a < b & c")
    made.text(0, 0, "x < y & z")
    texts = [text.text for text in ElementTree.fromstring(made.svg("<none>")).iter(f"{SPACE}text")]
    assert texts == ["x < y & z"]


def test_frames_stand_one_after_another_and_the_last_alone_without_motion():
    """By the rules that hold everywhere, all frames are hidden but the last; those of motion are for screens alone."""
    drawn, frames = svg("selection"), selection.draw().frames
    assert re.findall(r'<g class="frame f(\d+)">', drawn) == [str(number) for number in range(frames)]
    still, _, moving = drawn.partition("@media screen and (prefers-reduced-motion: no-preference)")
    assert re.findall(r"(\.f\w+)\{visibility:(\w+)\}", still) == [(".frame", "hidden"), (f".f{frames - 1}", "visible")]
    delays = [float(delay) for delay in re.findall(r"animation-delay:(-[\d.]+)s", moving)]
    (whole,) = re.findall(r"animation:on ([\d.]+)s", moving)
    assert [round(delay * frames / float(whole)) + frames for delay in delays] == list(range(frames))
    assert "frame" not in svg("scan_tree")


def test_a_chosen_step_holds_what_a_fixed_one_forgets():
    chosen = selection.states([4.0 if token != "." else 0.0 for token in selection.TOKENS])
    assert [round(value) for value in chosen] == [2, 2, 2, 2, 1, 1, 1, 3, 3, 3]
    fixed = selection.states([0.7] * len(selection.TOKENS))
    assert fixed[3] < fixed[2] < fixed[1] < fixed[0] < 2


def test_the_words_of_the_forms_count_the_cells_that_are_drawn():
    counted = re.findall(r">(\d+) cells", svg("multi_resolution"))
    assert counted == ["64", "16", "80", "28", "120", "24"]
    for count in counted:
        assert count in multi_resolution.ALT


def test_two_modes_make_the_kernel_that_two_modes_made():
    """What is drawn as truncated is exact for a kernel of two states, and near one with a small third."""
    lags = np.arange(distillation.LENGTH)
    pure = 0.9**lags * np.cos(0.55 * lags)
    assert np.allclose(distillation.truncated(pure, 2), pure)
    assert np.abs(distillation.truncated(distillation.kernel(), 2) - distillation.kernel()).max() < 0.15
