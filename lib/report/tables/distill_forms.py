"""The table of one distilled model: every form that was timed, beside the accuracy of models of that form."""

import pandas as pd
from IPython.display import Markdown

from lib.report import prose
from lib.report.tables import table
from lib.report.views.distill_forms import ORIGINAL


def forms_table(one_model: pd.DataFrame, caption: str) -> Markdown:
    """Time and memory relative to the model with full kernels, and accuracy against the original.

    one_model   of `lib.report.views.distill`; of the original accuracies are not compared with themselves
    """
    return table(
        {
            "model": one_model["made"],
            "form": one_model["form"],
            "time / full": [
                f"{row.latency_ratio:.2f} ({row.latency_ratio_low:.2f} – {row.latency_ratio_high:.2f})"
                for row in one_model.itertuples()
            ],
            "memory / full": [f"{ratio:.2f}" for ratio in one_model["memory_ratio"]],
            "accuracy − original's [points]": [
                "–" if row.made == ORIGINAL else prose.points(row) for row in one_model.itertuples()
            ],
        },
        caption,
    )
