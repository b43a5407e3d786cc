"""LoRA beside the bottleneck of the original report's code.

Source of LoRA: Hu et al. (2021), https://arxiv.org/abs/2106.09685.
"""

from lib.report.diagrams.drawing import Drawing

ALT = (
    "Two layers side by side. LoRA: the input z passes the frozen matrix W, and beside it the small trained matrices "
    "A, from D to r, and B, from r to D, whose product starts at zero; the two outputs are added, so that the layer "
    "begins as it was. The original report's code: z passes A and B alone; W is gone, and with it what the layer had "
    "learned."
)


def draw() -> Drawing:
    """Two layers, from input to output."""
    made = Drawing(322, "LoRA, and the original report's bottleneck")
    left, small, other = 74, 186, 376
    made.text(130, 20, "LoRA: W z + B A z", bold=True)
    made.text(other, 20, "original code: B A z", bold=True)
    made.text(130, 50, "z: D channels")
    made.arrow((130, 62), (130, 76), (left, 76), (left, 96))
    made.arrow((130, 76), (small, 76), (small, 96))
    made.box(left - 54, 96, 108, 132, "W\nD × D\nfrozen", "frozen")
    made.box(small - 46, 96, 92, 44, "A: D → r\ntrained", "weights")
    made.arrow((small, 140), (small, 158))
    made.note(small + 8, 149, "r numbers")
    made.box(small - 46, 158, 92, 44, "B: r → D\nstarts at 0", "weights")
    made.arrow((left, 228), (left, 262), (117, 262))
    made.arrow((small, 202), (small, 262), (144, 262))
    made.circle(130, 262, "+")
    made.arrow((130, 276), (130, 292))
    made.text(130, 304, "at first: W z")
    made.text(other, 50, "z: D channels")
    made.arrow((other, 62), (other, 96))
    made.box(other - 46, 96, 92, 44, "A: D → r\ntrained", "weights")
    made.arrow((other, 140), (other, 158))
    made.note(other - 8, 149, "r numbers", "end")
    made.box(other - 46, 158, 92, 44, "B: r → D\ntrained", "weights")
    made.box(other + 54, 96, 46, 106, "W\nis\ngone", "gone")
    made.arrow((other, 202), (other, 292))
    made.text(other, 304, "at first: rank r at most")
    return made
