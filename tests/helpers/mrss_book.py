"""The chapter on multi-resolution scanning at smoke size: its records, and all that is made of its evidence."""

import matplotlib.pyplot as plt
import pandas as pd
import yaml

from lib.experiments.mrss_runs import LABELS
from lib.paths import PRESETS
from lib.report import prose
from lib.report.chapters import mrss as chapter
from lib.report.claims.judging import judged
from lib.report.figures import mrss as figures
from lib.report.tables import mrss as tables
from lib.report.tables import mrss_tasks as tables_by_task

TOYS = {
    "proxy_operations": [38_590_000_000, 111_530_000_000, 92_240_000_000, 82_590_000_000],
    "proxy_gradients": {1: True, 2: False, 4: False},
    "mended_gradients": {1: True, 2: True, 4: True},
    "weights_without_gradient": [],
}
BY_PROXY, BY_SCAN, ALONE = [f"A{n}" for n in range(1, 7)], [f"A{n}" for n in range(1, 8)], ["A13", "A14", "A16"]


TASKS = pd.DataFrame(
    {"task": LABELS.values(), "kind": "smooth", "tokens": 64, "batch": 2, "tested": 9, "nearest": 0.95}
)
PARAMETERS = {"baseline": 1000, "low, r = 8": 1010, "low, r = 3": 990}


def settings(experiment, **more):
    """Settings of an experiment as the smoke preset has them."""
    return experiment.Settings.of(yaml.safe_load((PRESETS / "mrss/smoke.yml").read_text()), **more)


def texts(evidence):
    """The abstract and the discussion."""
    numbers = chapter.numbers(evidence, TASKS)
    return [prose.render(f"mrss/{name}", numbers).data for name in ("abstract", "discussion")]


def drawn(evidence):
    """Every figure of recorded cases, by its function's name; they are closed."""
    made = {name: getattr(figures, name)(evidence) for name in ("growth", "costs", "accuracies", "losses", "tradeoff")}
    made |= figures.tradeoffs(evidence)
    made["by_factor"] = figures.by_factor(evidence, evidence.proxy.assign(machine="this run"))
    made["across_machines"] = figures.across_machines(chapter.across_machines(evidence))
    plt.close("all")
    return made


def tabled(evidence):
    """Every table of recorded cases, as Markdown."""
    made = [
        tables.original_table(evidence.original_mrss, "Table 1. The original report's"),
        tables.factors_table(evidence, "Table 2. By factor"),
        tables.models_table(*evidence.scan_in_the_middle.values(), "Table 3. Models"),
        tables.accuracy_table(evidence.resolutions, "Table 4. Accuracies"),
        tables.fastest_table(evidence, "Table 5. The fastest"),
        tables_by_task.low_rate(evidence, TASKS, PARAMETERS, "Table 6. By task"),
    ]
    return [one.data for one in made]


def verdicts(evidence):
    """What every judge of the subject decides."""
    by_proxy, by_scan = judged(evidence, BY_PROXY, on="proxy"), judged(evidence, BY_SCAN, on="scan")
    return [*by_proxy, *by_scan, *judged(evidence, ALONE)]


def renamed(record, column):
    """The record with a parameter of its cases by another name."""
    cases = [
        one.model_copy(update={"parameters": {x + "s" * (x == column): value for x, value in one.parameters.items()}})
        for one in record.cases
    ]
    return record.model_copy(update={"cases": cases})
