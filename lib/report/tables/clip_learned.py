"""Table of token reductions of which some numbers are learned."""

from IPython.display import Markdown

from lib.experiments.clip_learned_runs import BY_IMAGE, ONE, SHIFT, TOKEN
from lib.experiments.clip_variants import ADAPTIVE, CLASS_ATTENTION, NORM, SUMMARY
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.tables import table
from lib.report.views.files import naming_files

ORDER = (NORM, SUMMARY, TOKEN, SHIFT, CLASS_ATTENTION, ADAPTIVE, ONE, BY_IMAGE)


@naming_files
def learned_table(evidence: Evidence, caption: str) -> Markdown:
    """Accuracy retained, a row per reduction, a column per task and share of the patches."""
    rows = evidence.learned
    held = {"reduction": list(ORDER)}
    for task in rows["task"].unique():
        for keep in sorted(set(rows["keep"]) - {1.0}, reverse=True):
            here = frames.where(rows, task=task, keep=keep).groupby("variant")["retained"].mean()
            held[f"{task}, {keep:g}"] = [f"{100 * here[name]:.1f}" for name in ORDER]
    return table(held, caption)
