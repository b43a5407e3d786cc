"""The Mamba block: what a token passes through.

Source: Gu and Dao (2023), https://arxiv.org/abs/2312.00752, figure 3.
"""

from lib.report.diagrams.drawing import Drawing

ALT = (
    "A Mamba block, from top to bottom. Tokens x, D channels each, are normalised and projected to two streams of 2 D "
    "channels. The left stream passes a causal convolution over 4 tokens, SiLU, and the selective scan, whose step "
    "size and matrices B and C are projections of the same stream. The right stream passes SiLU and multiplies the "
    "scan's output. A projection back to D channels is added to the input."
)


def draw() -> Drawing:
    """The block from its input to its output."""
    made = Drawing(492, "The Mamba block")
    left, right = 165, 360
    made.text(left, 22, "tokens x: T × D", bold=True)
    made.arrow((left, 34), (left, 54))
    made.box(left - 75, 54, 150, 32, "RMSNorm")
    made.arrow((left, 86), (left, 104))
    made.box(left - 75, 104, 150, 34, "project D → 4D", "weights")
    made.arrow((left, 138), (left, 166))
    made.arrow((left + 75, 121), (right, 121), (right, 166))
    made.note(left - 10, 152, "2D", "end")
    made.note(right + 10, 146, "2D")
    made.box(left - 115, 166, 230, 34, "causal convolution, 4 taps", "full")
    made.arrow((left, 200), (left, 216))
    made.box(left - 40, 216, 80, 30, "SiLU")
    made.arrow((left, 246), (left, 316))
    made.arrow((left, 262), (left + 62, 262), (left + 62, 276))
    made.box(left + 8, 276, 184, 28, "Δ, B, C from the token", "weights")
    made.arrow((left + 62, 304), (left + 62, 316))
    made.box(left - 115, 316, 280, 50, "selective scan\nh ← exp(ΔA) h + ΔB x,  y = C h", "full")
    made.box(right - 40, 166, 80, 34, "SiLU")
    made.arrow((right, 200), (right, 392), (left + 14, 392))
    made.note(right + 10, 300, "gate")
    made.arrow((left, 366), (left, 379))
    made.circle(left, 392, "×")
    made.arrow((left, 405), (left, 418))
    made.box(left - 75, 418, 150, 32, "project 2D → D", "weights")
    made.arrow((left, 450), (left, 462))
    made.circle(left, 475, "+")
    made.arrow((left, 42), (26, 42), (26, 475), (left - 14, 475))
    made.note(34, 56, "residual")
    made.arrow((left + 13, 475), (left + 60, 475))
    made.text(left + 66, 475, "y: T × D", anchor="start", bold=True)
    return made
