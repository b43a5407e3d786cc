"""A chapter's key picture, one file each: one panel, few words, drawn for the width of a phone.

A file defines `rows(evidence)`, what is seen, row by row; `draw(ax, rows)`; `said(rows)`, the same in words, which is
the text alternative; and CAPTION. `python -m lib.report.first_pages` draws them into `book/_assets`; a test holds them
to the records.
"""

from types import ModuleType

from lib.report.evidence import Evidence
from lib.report.figures.keys import adapters, distilled, growing, low_rate, scans, tokens

SIZE = (4.1, 3.2)  # inches: a phone shows it 340 pixels wide, letters of 10 points 11 pixels high
KEYS: dict[str, ModuleType] = {  # chapter -> its picture
    "ssm_background": scans,
    "mrss": low_rate,
    "kernel_distillation": distilled,
    "clip_vtp": tokens,
    "lora": adapters,
    "ssm_vlm": growing,
}


def described(chapter: str, evidence: Evidence) -> str:
    """What a chapter's picture shows, in words."""
    return KEYS[chapter].said(KEYS[chapter].rows(evidence))
