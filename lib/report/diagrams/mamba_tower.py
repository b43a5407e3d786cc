"""An image tower of scans: patches in two orders, a block that adds both, and the mean."""

from lib.report.diagrams.drawing import Drawing, Kind

ALT = (
    "An animation in sixteen steps of four by four patches, numbered in the order of a scan: the forward scan visits "
    "them row by row from the top left, the backward scan from the bottom right. Beside it the tower: patches with "
    "positions; blocks, each a norm, a forward and a backward scan whose outputs are added, and a gate; the mean of "
    "all patches, which is the image's features."
)
SIDE, CELL, LEFT = 4, 27, 22
GRIDS = {"forward scan": (46, "full"), "backward scan": (204, "low")}  # words -> top, kind of a visited patch


def draw() -> Drawing:
    """Two grids on the left, the tower on the right."""
    made = Drawing(338, "An image tower of scans")
    last = SIDE * SIDE
    for words, (top, _) in GRIDS.items():
        made.text(LEFT + SIDE * CELL / 2, top - 18, words, bold=True)
    for now in range(last):
        with made.frame():
            for number, (top, kind) in enumerate(GRIDS.values()):
                for row in range(SIDE):
                    kinds = [_seen(_step(row, column, number), now, kind) for column in range(SIDE)]
                    made.cells(LEFT, top + row * CELL, SIDE * CELL, kinds, CELL - 2)
    for number, (top, _) in enumerate(GRIDS.values()):
        for row in range(SIDE):
            for column in range(SIDE):
                at = LEFT + (column + 0.5) * CELL, top + (row + 0.5) * CELL - 1
                made.text(*at, f"{_step(row, column, number) + 1}", size=13)
    x, width = 178, 264
    middle = x + width / 2
    made.box(x, 14, width, 38, "patches, and their positions")
    made.box(x - 18, 68, width + 36, 192, kind="gone")
    made.note(x - 10, 228, "one of\nseveral\nblocks")
    made.arrow((middle, 52), (middle, 94))
    made.box(x, 94, width, 30, "norm", "plain")
    made.box(x, 146, 124, 38, "forward scan", "full")
    made.box(x + 140, 146, 124, 38, "backward scan", "low")
    for start in (x + 62, x + 202):
        made.arrow((start, 124), (start, 146))
        made.arrow((start, 184), (start, 206), (middle + (-13 if start < middle else 13), 206))
    made.circle(middle, 206, "+")
    made.arrow((middle, 219), (middle, 230))
    made.box(x + 62, 230, 140, 24, "gate", "gate")
    made.arrow((middle, 254), (middle, 282))
    made.box(x, 282, width, 38, "mean: the image's features", "weights")
    return made


def _step(row: int, column: int, backward: int) -> int:
    """At which step a scan visits a patch."""
    forward = row * SIDE + column
    return SIDE * SIDE - 1 - forward if backward else forward


def _seen(step: int, now: int, kind: Kind) -> Kind:
    """A patch that was visited, the one that is, or one that is to come."""
    return "gate" if step == now else kind if step < now else "plain"
