"""Diagrams: one file each, with `ALT`, what it shows in words, and `draw`. See `drawing.Drawing`.

`python -m lib.report.diagrams` writes them as SVG into `book/_assets/diagrams`, where pages and notebooks embed them; a
test holds the files to the code.
"""

from types import ModuleType

from lib.paths import BOOK
from lib.report.diagrams import (
    adapters,
    clip_tower,
    distillation,
    mamba_block,
    mamba_tower,
    merging,
    multi_resolution,
    parts,
    scan_tree,
    selection,
)

FOLDER = BOOK / "_assets/diagrams"
DIAGRAMS: dict[str, ModuleType] = {
    "parts": parts,
    "mamba_block": mamba_block,
    "selection": selection,
    "scan_tree": scan_tree,
    "multi_resolution": multi_resolution,
    "distillation": distillation,
    "clip_tower": clip_tower,
    "merging": merging,
    "adapters": adapters,
    "mamba_tower": mamba_tower,
}


def svg(name: str) -> str:
    """The text of a diagram's file."""
    return DIAGRAMS[name].draw().svg(DIAGRAMS[name].ALT)


def embedded(name: str) -> str:
    """The diagram as a Markdown cell of a notebook embeds it."""
    return f"![{DIAGRAMS[name].ALT}](_assets/diagrams/{name}.svg)"
