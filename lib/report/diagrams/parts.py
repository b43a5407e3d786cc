"""The original report's two parts, the chapters that answer them, and where they could meet."""

from lib.report.diagrams.drawing import Drawing

ALT = (
    "The report's two parts. State space models: background, multi-resolution scanning, kernel distillation. "
    "Vision-language models: CLIP with fewer visual tokens, low-rank adapters. Both lead to the verdict on the "
    "original report. State space models that see join the parts, a proposal that the original report left for the "
    "future; from their chapter, too, an arrow leads to the verdict."
)


def draw() -> Drawing:
    """Two columns of chapters, joined below."""
    made = Drawing(330, "The two parts, and where they meet")
    left, right, width = 16, 254, 210
    made.text(left + width / 2, 20, "sequences", bold=True)
    made.text(right + width / 2, 20, "images and text", bold=True)
    for number, words in enumerate(
        ("State space models", "Multi-resolution scanning\nfewer tokens per block", "Kernel distillation\nfewer states")
    ):
        made.box(left, 36 + 66 * number, width, 50, words, "full")
        if number:
            made.arrow((left + width / 2, 20 + 66 * number), (left + width / 2, 36 + 66 * number))
    for number, words in enumerate(("CLIP: fewer visual tokens", "Low-rank adapters\nfewer weights to train")):
        made.box(right, 36 + 66 * number, width, 50, words, "low")
        if number:
            made.arrow((right + width / 2, 86), (right + width / 2, 102))
    made.box(right, 168, width, 50, "SSMs that see images\nboth parts meet", "gate")
    made.arrow((left + width, 193), (right, 193))
    made.arrow((right + width / 2, 152), (right + width / 2, 168))
    made.arrow((left + width / 2, 218), (left + width / 2, 246), (216, 246), (216, 262))
    made.arrow((right + width, 127), (right + width + 8, 127), (right + width + 8, 246), (264, 246), (264, 262))
    made.arrow((right + width / 2, 218), (right + width / 2, 246), (264, 246), (264, 262))
    made.box(126, 262, 228, 50, "The verdict: what holds of\nthe original report's claims", "gate")
    return made
