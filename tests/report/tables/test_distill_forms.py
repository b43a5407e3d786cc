"""The table of one model: time, memory and accuracy of one form stand in one row."""

import pandas as pd

from lib.report.tables.distill_forms import forms_table
from lib.report.views.distill_forms import DISTILLED, ORIGINAL


def test_a_form_has_its_own_accuracy_and_the_original_none():
    rows = pd.DataFrame(
        {
            "made": [ORIGINAL, DISTILLED],
            "form": ["full kernel", "recurrence, 4 states"],
            "latency_ratio": [1.0, 0.5],
            "latency_ratio_low": [1.0, 0.4],
            "latency_ratio_high": [1.0, 0.6],
            "memory_ratio": [1.0, 0.9],
            "difference": [0.0, -0.01],
            "difference_low": [0.0, -0.02],
            "difference_high": [0.0, 0.0],
        }
    )
    whole, small = (
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in forms_table(rows, "Table 1. Forms").data.splitlines()[-2:]
    )
    assert whole == ["original", "full kernel", "1.00 (1.00 – 1.00)", "1.00", "–"]
    assert small == [DISTILLED, "recurrence, 4 states", "0.50 (0.40 – 0.60)", "0.90", "−1.0 ± 1.0"]
