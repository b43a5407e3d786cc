"""Forms of a multi-resolution Mamba: which blocks compute how many tokens of a sequence."""

from collections.abc import Sequence

from lib.report.diagrams.drawing import Drawing, Kind

TOKENS, FACTOR, BLOCKS = 16, 4, 4
ALT = (
    "Six forms of a Mamba of four blocks on 16 tokens, a row of cells per block; blue cells are computed at the full "
    "rate, an orange one stands for several tokens. Baseline: four rows of 16 cells, 64 in all. Dual: beside every "
    "full-rate row a low-rate one, 80 cells. Hierarchy: rows at 1/2, 1/4 and 1/8 beside every full-rate row, 120 "
    "cells. Low: four low-rate rows, 16 cells, between a full-rate convolution and gate. Hybrid 1 + 3: one full-rate "
    "row and three low-rate rows, 28 cells. Dynamic: two full-rate rows of the chunks that a router chooses, two "
    "low-rate rows of all, 24 cells."
)


def draw() -> Drawing:
    """Two columns of three forms."""
    made = Drawing(520, "Forms of a multi-resolution Mamba")
    full: list[Kind] = ["full"] * TOKENS
    low: list[Kind] = ["low"] * (TOKENS // FACTOR)
    dual = [full, low] * BLOCKS
    hierarchy = [full, *(["low"] * (TOKENS // factor) for factor in (2, 4, 8))] * BLOCKS
    chosen: list[Kind] = ["full" if number // FACTOR in (0, 2) else "gone" for number in range(TOKENS)]
    panels = [
        ("baseline: one rate", [full] * BLOCKS, False),
        (f"low, r = {FACTOR}", [low] * BLOCKS, True),
        (f"dual, r = {FACTOR}", dual, False),
        (f"hybrid 1 + 3, r = {FACTOR}", [full, low, low, low], True),
        ("hierarchy, r = 2, 4, 8", hierarchy, False),
        (f"dynamic, r = {FACTOR}", [chosen, chosen, low, low], True),
    ]
    for number, (title, rows, framed) in enumerate(panels):
        panel(made, 12 + 236 * (number % 2), 12 + 170 * (number // 2), title, rows, framed)
    return made


def panel(made: Drawing, x: float, y: float, title: str, rows: Sequence[Sequence[Kind]], framed: bool) -> None:
    """One form: its blocks as rows of cells, the first block at the top, and the cells that are computed.

    framed   whether a convolution and a gate at the full rate stand around its low-rate blocks
    """
    made.text(x, y + 10, title, anchor="start", bold=True)
    height = 92 / len(rows)
    for number, row in enumerate(rows):
        made.cells(x, y + 26 + number * height, 220, row, height - 3)
    computed = sum(kind != "gone" for row in rows for kind in row)
    words = f"{computed} cells" + (", and a full-rate\nconvolution and gate" if framed else " computed")
    made.note(x, y + (138 if framed else 130), words)
