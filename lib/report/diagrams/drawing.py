"""A drawing of boxes, cells and arrows that is written as SVG, in colours for a light and for a dark page.

Sizes are in units of the drawing, 480 of them across: a phone shows a letter of 15 units at 11 pixels.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Literal

WIDTH = 480
LETTER, SMALL, LEADING = 15, 13, 18  # heights of letters, and from line to line
Kind = Literal["plain", "full", "low", "gate", "weights", "frozen", "gone"]

# What is drawn -> its fill, stroke and ink in light, then in dark. Blue and orange differ in greyscale, too.
COLOURS = {
    "plain": ("#f2f2f2", "#6b6b6b", "#1b1b1b", "#2b2f33", "#9aa0a6", "#f1f1f1"),
    "full": ("#cbe3f4", "#0173b2", "#1b1b1b", "#0d3a56", "#6bb7e6", "#f1f1f1"),
    "low": ("#f9c98a", "#a35c00", "#1b1b1b", "#6b3f06", "#f0ad55", "#f1f1f1"),
    "gate": ("#ffffff", "#029e73", "#1b1b1b", "#121417", "#3fcf9f", "#f1f1f1"),
    "weights": ("#e3d5ee", "#7b4aa0", "#1b1b1b", "#412a56", "#c39be4", "#f1f1f1"),
    "frozen": ("#e2e2e2", "#8a8a8a", "#1b1b1b", "#3a3d41", "#9aa0a6", "#f1f1f1"),
    "gone": ("none", "#a8a8a8", "#6b6b6b", "none", "#6d7278", "#9aa0a6"),
}
SECONDS = 0.9  # that a frame of an animation stands
GROUND, INK, FAINT = ("#ffffff", "#121417"), ("#1b1b1b", "#f1f1f1"), ("#595959", "#b6bbc1")


def _styles() -> str:
    """One style per kind, then the same for a dark page."""
    made = []
    for dark in (False, True):
        rules = [f".ground{{fill:{GROUND[dark]}}} .ink{{fill:{INK[dark]}}} .faint{{fill:{FAINT[dark]}}}"]
        rules.append(f".line{{stroke:{INK[dark]}}} .head{{fill:{INK[dark]}}}")
        for kind, colours in COLOURS.items():
            fill, stroke, ink = colours[3 * dark : 3 * dark + 3]
            rules.append(f".{kind}{{fill:{fill};stroke:{stroke}}} .on-{kind}{{fill:{ink}}}")
        made.append("\n".join(rules))
    light, night = made
    return f"{light}\n.gone{{stroke-dasharray:3 2}}\n@media (prefers-color-scheme: dark){{\n{night}\n}}"


def _moving(frames: int) -> str:
    """Styles by which one frame stands after another; the last one alone on paper, and for who wants no motion."""
    if not frames:
        return ""
    rules = [
        ".frame{visibility:hidden}",
        f".f{frames - 1}{{visibility:visible}}",
        f"@keyframes on{{0%{{visibility:visible}} {100 / frames:.4f}%{{visibility:hidden}}}}",
    ]
    playing = [f".frame{{visibility:hidden;animation:on {SECONDS * frames:.1f}s step-end infinite}}"]
    playing += [f".f{number}{{animation-delay:{SECONDS * (number - frames):.1f}s}}" for number in range(frames)]
    wanted = "@media screen and (prefers-reduced-motion: no-preference)"
    return "\n".join([*rules, f"{wanted}{{", *playing, "}"])


@dataclass
class Drawing:
    """Shapes in the order in which they are drawn.

    height   of the drawing, as wide as WIDTH
    title    what it shows, in a few words
    frames   of an animation, one after another; what is drawn outside of `frame` stands in all of them
    """

    height: int
    title: str
    shapes: list[str] = field(default_factory=list)
    frames: int = 0

    @contextmanager
    def frame(self) -> Iterator[None]:
        """What is drawn inside is the next frame of an animation."""
        self.shapes.append(f'<g class="frame f{self.frames}">')
        yield
        self.shapes.append("</g>")
        self.frames += 1

    def box(self, x: float, y: float, width: float, height: float, text: str = "", kind: Kind = "plain") -> None:
        """A box with rounded corners and its text in the middle, a line for each line of it."""
        place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
        self.shapes.append(f'<rect class="{kind}" {place} rx="5"/>')
        if text:
            self.text(x + width / 2, y + height / 2, text, style=f"on-{kind}")

    def cells(self, x: float, y: float, width: float, kinds: Sequence[Kind], height: float = 18) -> None:
        """A row of cells, from left to right, together as wide as `width`."""
        each = width / len(kinds)
        for number, kind in enumerate(kinds):
            place = f'x="{x + number * each + 0.75:g}" y="{y:g}" width="{each - 1.5:g}" height="{height:g}"'
            self.shapes.append(f'<rect class="{kind}" {place} rx="2"/>')

    def text(
        self,
        x: float,
        y: float,
        text: str,
        style: str = "ink",
        size: int = LETTER,
        anchor: Literal["start", "middle", "end"] = "middle",
        bold: bool = False,
    ) -> None:
        """Lines of text around a height, from, around or up to an x."""
        lines, weight = text.split("\n"), ' font-weight="600"' if bold else ""
        leading = LEADING * size / LETTER
        for number, line in enumerate(lines):
            at = y + (number - (len(lines) - 1) / 2) * leading + size / 3
            place = f'x="{x:g}" y="{at:.1f}" font-size="{size}" text-anchor="{anchor}"'
            self.shapes.append(f'<text class="{style}" {place}{weight}>{escape(line, quote=False)}</text>')

    def note(self, x: float, y: float, text: str, anchor: Literal["start", "middle", "end"] = "start") -> None:
        """Small, faint text."""
        self.text(x, y, text, "faint", SMALL, anchor)

    def arrow(self, *points: tuple[float, float], head: bool = True) -> None:
        """A line from point to point, with a head at its end."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        end = ' marker-end="url(#head)"' if head else ""
        self.shapes.append(f'<polyline class="line" points="{path}" fill="none" stroke-width="1.4"{end}/>')

    def circle(self, x: float, y: float, text: str, radius: float = 13, kind: Kind = "gate") -> None:
        """An operation on what arrives at it: its sign in a circle."""
        self.shapes.append(f'<circle class="{kind}" cx="{x:g}" cy="{y:g}" r="{radius:g}" stroke-width="1.4"/>')
        self.text(x, y, text, style=f"on-{kind}")

    def svg(self, alternative: str) -> str:
        """The drawing as a file's text.

        alternative   what it shows, for those who do not see it
        """
        size = f'viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}" height="{self.height}"'
        head = '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="system-ui, sans-serif">',
            f"<title>{escape(self.title)}</title>\n<desc>{escape(alternative)}</desc>",
            "\n".join(part for part in ("<style>", _styles(), _moving(self.frames), "</style>") if part),
            f'<defs>{head}<path class="head" d="M0,0 L8,4 L0,8 z"/></marker></defs>',
            f'<rect class="ground" width="{WIDTH}" height="{self.height}" rx="8"/>',
            *self.shapes,
            "</svg>",
        ]
        return "\n".join(parts) + "\n"
