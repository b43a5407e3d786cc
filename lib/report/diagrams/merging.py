"""Merging at once beside merging in rounds, on 16 patches: drawn from what the library's matching gives.

Source of one matching: Bolya et al. (2023), https://arxiv.org/abs/2210.09461.
"""

from string import ascii_letters

from lib.experiments import clip_steps
from lib.report.diagrams.drawing import Drawing, Kind

CELL = 25
KINDS: dict[str, Kind] = {"s": "full", "b": "low", "g": "gate"}
ALT = (
    "A picture of 4 by 4 patches: sky, two patches of a bird, grass. Patches of one letter are one token. ToMe merges "
    "8 pairs in one matching of even with odd patches: both bird patches are even, so that neither finds the other, "
    "and each merges with sky or grass. Merging in rounds reaches 8 tokens in three matchings: the most alike merge "
    "first, every round matches anew, and no token holds patches of two kinds."
)


def draw() -> Drawing:
    """The picture, then each way's tokens."""
    made = Drawing(478, "One matching, and three rounds, on 16 patches")
    start, *once = clip_steps.at_once()
    made.text(12, 20, "16 patches, 16 tokens", anchor="start", bold=True)
    grid(made, 12, 34, start)
    for number, (name, kind) in enumerate((("sky", "full"), ("bird", "low"), ("grass", "gate"))):
        made.box(150, 42 + 28 * number, 20, 18, kind=kind)
        made.text(180, 51 + 28 * number, name, anchor="start")
    made.note(250, 84, "one letter: one token\ntwo frames: a token of\ndifferent things")
    made.text(12, 164, "ToMe: 8 pairs of an even and an odd patch, at once", anchor="start", bold=True)
    grid(made, 12, 178, once[-1])
    made.note(136, 228, words(once[-1]) + "\nthe bird's patches are both even:\nneither can find the other")
    made.text(12, 308, "in rounds: the most alike first, then matched anew", anchor="start", bold=True)
    for number, step in enumerate(clip_steps.in_rounds()[1:]):
        x = 12 + 152 * number
        grid(made, x, 322, step)
        made.note(x, 440, f"round {number + 1}: {len(set(step))} tokens")
        if number:
            made.arrow((x - 46, 372), (x - 8, 372))
    made.note(12, 462, words(step))
    return made


def grid(made: Drawing, x: float, y: float, places: list[int]) -> None:
    """Patches in the colour of what they show, with their token's letter; a second frame where a token mixes kinds."""
    for patch, token in enumerate(places):
        left, top = x + CELL * (patch % 4), y + CELL * (patch // 4)
        shown = clip_steps.SHOWN[patch]
        made.box(left, top, CELL - 2, CELL - 2, ascii_letters[token], KINDS[shown])
        if len({clip_steps.SHOWN[other] for other, held in enumerate(places) if held == token}) > 1:
            frame = f'x="{left + 3:g}" y="{top + 3:g}" width="{CELL - 8:g}" height="{CELL - 8:g}"'
            made.shapes.append(f'<rect class="line" {frame} fill="none" stroke-width="1.6"/>')


def words(places: list[int]) -> str:
    """How many tokens hold patches of different things."""
    count = clip_steps.mixed(places)
    return f"{len(set(places))} tokens, {count or 'none'} of them of different things"
