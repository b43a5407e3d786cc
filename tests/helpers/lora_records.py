"""Records of adapters whose numbers can be worked out by hand, and all readers of such records."""

from types import ModuleType

import matplotlib.pyplot as plt
import pandas as pd

from lib import records
from lib.experiments import base, lora_cases, lora_cost, lora_tokens
from lib.experiments.lora_training import FULL, USUAL
from lib.profilers.profile import Profile
from lib.records import Record
from lib.report import prose
from lib.report.chapters import lora as chapter
from lib.report.claims.judging import judged
from lib.report.claims.ledger import NOT_TESTABLE
from lib.report.evidence import Evidence
from lib.report.figures import lora as figures
from lib.report.frames import lora as frames
from lib.report.tables import lora as tables

TOYS = {
    "starts": {"unreduced": 0.95, "LoRA": 0.95, "bottleneck": 0.02, "chance": 0.03, "images": 400},
    "weights_of_a_projection": {"counted": 8192, "claimed": 8192},
}
FACTORS = pd.DataFrame({"model": ["a", "a", "b", "b"], "rank": [8, 48, 8, 48], "error": [0.3, 0.0, 0.005, 0.0]})
JUDGED = {"B10": "adapters", "B11": "small_clips", "B14": "adapters"}  # claims, and subjects with evidence


def training(whole=0.8, reduced=0.4, accuracy=0.6, unreduced=0.7, trainable=10, last=1.0):
    """An outcome as plain values, of 1,000 weights."""
    found = {"whole": whole, "reduced": reduced, "accuracy": accuracy, "unreduced": unreduced, "seconds": 3.0}
    found |= {"losses": [2.0] * 19 + [last]}
    return found | {"trainable": trainable, "total": 1000, "optimiser_bytes": 8 * trainable}


def trainings(experiment: ModuleType, task: str = "scenes", seeds: int = 2, **by_variant: dict) -> Record:
    """A record in which every variant has the outcome of `training`, a tenth of it more with each seed.

    by_variant   variant -> what differs
    """
    settings = lora_cases.Settings(task=task, seeds=seeds, steps=20)
    planned = lora_cases.plans(experiment.GOAL, experiment.VARIANTS, settings)
    results = {}
    for variant, plans in planned.items():
        one = training(**by_variant.get(variant, {}))
        results[variant] = {plan: one | {"accuracy": one["accuracy"] + plan.seed / 10} for plan in plans}
    return base.record(experiment.NAME.format(task=task), lora_cases.cases(results), settings)


def costs() -> Record:
    """Full fine-tuning takes 4 s and 1,040 bytes; adapters half, and peft's as ours; merged ones cost nothing."""
    made = base.Cases(lora_cost.PARTS)
    at = {"batch": 4, "side": 8, "input_bytes": 40}

    def add(part, variant, seconds, peak=1000, **more):
        made.add(part, variant, Profile([seconds] * 3, peak_bytes=peak, flops=10), **at, **more)

    few = {"trainable": 10, "total": 1010, "gradient_bytes": 40, "optimiser_bytes": 80}
    every = {"trainable": 1000, "total": 1000, "gradient_bytes": 4000, "optimiser_bytes": 8000}
    add(lora_cost.STEP, FULL, 4.0, **every)
    for name in (USUAL, lora_cost.OTHER):
        for who in ("", "peft: "):
            add(lora_cost.STEP, f"{who}{name}", 2.0, 480, **few)
    for name, seconds in ((lora_cost.UNREDUCED, 1.0), (lora_cost.APART, 1.1), (lora_cost.MERGED, 1.0)):
        add(lora_cost.DEPLOYED, name, seconds)
    add(lora_cost.SMALL, lora_cost.UNREDUCED, 1.0)
    for name in lora_tokens.VARIANTS:
        add(lora_cost.SMALL, name, 0.5)
    return records.new(lora_cost.NAME, made, seed=0, parameters={"timed": "a model", "batch": 4})


def read(evidence: Evidence) -> list[str]:
    """Hand evidence to every number, text, figure, table and judge of the chapter.

    returns   all texts and tables
    raises    AssertionError where something is not a number, or not decided
    """
    numbers = chapter.numbers(evidence, FACTORS)
    texts = [prose.render(f"lora/{name}", numbers).data for name in ("discussion", "abstract")]
    for figure in (figures.ranks(evidence), figures.recovered(evidence)):
        assert all(ax.has_data() for ax in figure.axes)
    rows = chapter.across_machines(evidence)
    assert rows[["ratio", "low", "high"]].notna().all(axis=None)
    assert figures.across_machines(rows).axes[0].has_data()
    plt.close("all")
    step = frames.costs(evidence.adapter_cases, lora_cost.STEP)
    texts += [
        one.data
        for one in (
            tables.cost(step, "Table 1. T"),
            tables.deployed(evidence.adapter_forward, "Table 1. T"),
            tables.labels(evidence.adapted_means, evidence.against_full_tuning, "Table 1. T"),
            tables.tokens(evidence.recovered_means, "Table 1. T"),
            tables.across_machines(rows, "Table 1. T"),
        )
    ]
    found = [one for claim, on in JUDGED.items() for one in judged(evidence, [claim], on=on)]
    assert [one.evidence for one in found if one.verdict == NOT_TESTABLE] == []
    texts += [one.evidence for one in found]
    texts += [evidence.adapter_sources, evidence.adapted_sources, evidence.recovered_sources]
    assert not [text for text in texts if "nan" in text or "None" in text]
    return texts


def renamed(record: Record, old: str, new: str) -> Record:
    """The record with a parameter of its cases called otherwise."""
    cases = [
        one.model_copy(update={"parameters": {new if k == old else k: v for k, v in one.parameters.items()}})
        for one in record.cases
    ]
    return record.model_copy(update={"cases": cases})
