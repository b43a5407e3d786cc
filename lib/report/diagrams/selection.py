"""Ten tokens that enter a scan, with steps chosen by the token and with a fixed step: an animation.

Both states are computed by the zero-order hold of a state with A = -1 and B = 1, as in the chapter.
"""

import math
from collections.abc import Sequence

from lib.report.diagrams.drawing import Drawing

TOKENS = "b...a..c.."
VALUES = {"a": 1.0, "b": 2.0, "c": 3.0, ".": 0.0}
LARGE, SMALL, FIXED = 4.0, 0.02, 0.7  # step sizes: for letters, for dots, and for all where it is fixed
ALT = (
    "Ten tokens enter two scans one after another: b, three dots, a, two dots, c, two dots; the letters a, b and c "
    "stand for one, two and three. With a step that the token chooses, large for a letter and small for a dot, the "
    "state jumps to a letter's value and holds it until the next letter. With one fixed step for all, the state "
    "reaches a part of a letter's value and decays at every dot."
)


def states(steps: Sequence[float]) -> list[float]:
    """The state after every token."""
    h, found = 0.0, []
    for step, token in zip(steps, TOKENS, strict=True):
        h = math.exp(-step) * h + (1 - math.exp(-step)) * VALUES[token]
        found.append(h)
    return found


def draw() -> Drawing:
    """A frame per token: the token, and both states so far."""
    made = Drawing(342, "Tokens that enter a scan")
    chosen = states([SMALL if token == "." else LARGE for token in TOKENS])
    fixed = states([FIXED] * len(TOKENS))
    made.text(12, 20, "tokens", anchor="start", bold=True)
    for number, token in enumerate(TOKENS):
        made.box(12 + 46 * number, 34, 38, 32, token)
    rows = (("steps chosen by the token: the state", 96, chosen), ("one fixed step: the state", 222, fixed))
    for words, y, _ in rows:
        made.text(12, y, words, anchor="start", bold=True)
        made.arrow((12, y + 100), (468, y + 100), head=False)
    for last, token in enumerate(TOKENS):
        with made.frame():
            made.box(12 + 46 * last, 34, 38, 32, token, "low")
            for _, y, values in rows:
                for number, value in enumerate(values[: last + 1]):
                    height = max(1.5, 26 * value)
                    kind = "low" if number == last else "full"
                    made.box(
                        12 + 46 * number, y + 100 - height, 38, height, f"{value:.1f}" if height > 18 else "", kind
                    )
    return made
