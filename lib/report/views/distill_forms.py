"""One model in every form that was timed, each beside the accuracy of models of that form."""

import pandas as pd

from lib.experiments import distill_cost as cost
from lib.experiments import distill_training as training
from lib.names import DISTILLATIONS
from lib.report import frames

FITTED = DISTILLATIONS["balanced_refit"].label  # of balanced truncations, the one whose models were trained
SVD = DISTILLATIONS["truncated_svd"].label
TIMED = "digits"  # the task of the model that is timed
ORIGINAL, DISTILLED, FACTORED = "original", "distilled and fine-tuned", "low rank, fine-tuned"  # how a model was made


def forms_of_one(timed: pd.DataFrame, quality: pd.DataFrame) -> pd.DataFrame:
    """Of `Views.one_model`: forms of the timed model, each with the accuracy of its own kind and size.

    raises   Missing where a form that has an accuracy was not timed
    """
    students = frames.where(quality, task=training.DATA[TIMED])
    whole = frames.only(students, variant=training.ORIGINAL)
    kinds = {
        ORIGINAL: (training.ORIGINAL, False, cost.SMALL),
        DISTILLED: (FITTED, True, cost.SMALL),
        training.SCRATCH: (training.SCRATCH, False, cost.SMALL),
        FACTORED: (SVD, True, cost.LOW),
    }
    pairs = [(ORIGINAL, cost.FULL, whole)]
    for made, (variant, healed, form) in kinds.items():
        for _, row in frames.where(students, variant=variant, healed=healed).sort_values("order").iterrows():
            pairs.append((made, form.format(row["order"]), row))
    costs, measures = ["latency_ratio", "latency_ratio_low", "latency_ratio_high", "memory_ratio"], []
    for made, form, row in pairs:
        timing = frames.only(timed, variant=form)
        kept = row[["order", "difference", "difference_low", "difference_high"]]
        measures.append({"made": made, "form": form, **timing[costs], **kept})
    return pd.DataFrame(measures)
