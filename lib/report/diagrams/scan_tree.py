"""A parallel scan over eight steps, by doubling. Source: Hillis and Steele (1986), Data parallel algorithms."""

from lib.report.diagrams.drawing import Drawing

STEPS = 8
ALT = (
    "Eight steps of a recurrence as eight cells in a row, and three rounds below. In the first round every cell takes "
    "up the cell before it, in the second the cell two before it, in the third the cell four before it. After three "
    "rounds each cell holds all steps up to it: the last one holds steps one to eight."
)


def draw() -> Drawing:
    """Rows of cells, with arrows from what is taken up."""
    made = Drawing(300, "A parallel scan by doubling")
    made.text(12, 20, "eight steps, three rounds", anchor="start", bold=True)
    first, width, gap = 84, 42, 49
    span = 1
    for number in range(4):
        y = 40 + 68 * number
        made.note(12, y + 15, "steps" if not number else f"round {number}")
        reach = 2**number
        for step in range(STEPS):
            begin = max(1, step + 2 - reach)
            held = str(step + 1) if begin == step + 1 else f"{begin}–{step + 1}"
            made.box(first + gap * step, y, width, 30, held, "full" if begin == 1 else "plain")
        if number < 3:
            for step in range(STEPS):
                x = first + gap * step + width / 2
                made.arrow((x, y + 30), (x, y + 68))
                if step >= span:
                    made.arrow((x - gap * span, y + 30), (x - 8, y + 66))
            span *= 2
    made.note(first, 288, "blue: all steps up to here")
    return made
