"""State space models that see: what the chapter's text says, and what is compared between machines."""

from dataclasses import dataclass

import pandas as pd

from lib import names
from lib.experiments import ssm_vlm_scaling
from lib.experiments.ssm_vlm_scaling import FORWARD, TRAINING, TRANSFORMER
from lib.report import frames
from lib.report.chapters import ssm_vlm_trained
from lib.report.evidence import Evidence
from lib.report.frames.ssm_vlm import NEVER
from lib.report.views import ssm_vlm as views
from lib.report.views.base import comparison, known
from lib.report.views.files import naming_files

SEEING, LOW = (names.TOWERS[name].label for name in ("vision_mamba", "low_rate"))


@dataclass(frozen=True)
class Tower:
    """A tower beside the transformer, forward.

    name                of it, as figures have it
    first, last         its time on the smallest and on the largest image, relative to the transformer's
    memory              its memory on the largest
    crosses             whether it is faster from some size on, by quartiles; `crossing`, that size in patches, with
                        quartiles `low` and `high`
    """

    name: str
    first: float
    last: float
    memory: float
    crosses: bool
    crossing: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Numbers:
    """All that the text of the chapter says. Times and memory are of the reference machine, one image at a time.

    machine               its title
    source                machine, day and commit of the record
    least, most, trained  patches of the smallest and the largest image, and of the largest whose step was timed
    dim, parameters       channels; parameters of the transformer, positions left out
    apart                 the most by which another tower's parameters differ, as a share
    mamba, low            Vision Mamba; the tower at a low rate
    fastest               the tower of least latency on the largest image
    earliest              the one that is faster than the transformer from the smallest size on; None where none is
    others                the other towers, the fastest on the largest image first
    mamba_slope, attention_slope   exponents of latency over the largest images
    attention_memory, mamba_memory   exponents of memory
    learned               what towers learned, see `lib.report.chapters.ssm_vlm_trained`
    training_first, training_last    Vision Mamba's training step on the smallest and on the largest image timed
    """

    machine: str
    source: str
    least: int
    most: int
    trained: int
    dim: int
    parameters: int
    apart: float
    mamba: Tower
    low: Tower
    fastest: Tower
    earliest: Tower | None
    others: list[Tower]
    mamba_slope: float
    attention_slope: float
    attention_memory: float
    mamba_memory: float
    training_first: float
    training_last: float
    learned: ssm_vlm_trained.Numbers


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """The numbers of the chapter's text.

    raises   Missing where the record is
    """
    forward, training = evidence.growing_forward, evidence.growing_training
    least, most, trained = forward["patches"].min(), forward["patches"].max(), training["patches"].max()
    whole = frames.only(forward, variant=TRANSFORMER, patches=most)
    slopes = evidence.growing_seconds.set_index("variant")["slope"]
    memory = evidence.growing_memory.set_index("variant")["slope"]
    known(forward, each={"variant": [row.label for row in names.TOWERS.values()]})
    labels = [label for label in forward["variant"].unique() if label not in (TRANSFORMER, SEEING)]
    mamba, others = _tower(evidence, SEEING), [_tower(evidence, label) for label in labels]
    steps = frames.where(training, variant=SEEING).set_index("patches")["latency_ratio"]
    return Numbers(
        machine=evidence.title,
        source=evidence.sources(ssm_vlm_scaling.NAME),
        least=int(least),
        most=int(most),
        trained=int(trained),
        dim=int(whole["dim"]),
        parameters=int(whole["parameters"]),
        apart=float((forward["parameters"] / whole["parameters"] - 1).abs().max()),
        mamba=mamba,
        low=next(one for one in others if one.name == LOW),
        fastest=min([mamba, *others], key=lambda one: one.last),
        earliest=min([one for one in (mamba, *others) if one.crosses], key=lambda one: one.crossing, default=None),
        others=sorted(others, key=lambda one: one.last),
        mamba_slope=slopes[SEEING],
        attention_slope=slopes[TRANSFORMER],
        attention_memory=memory[TRANSFORMER],
        mamba_memory=memory[SEEING],
        training_first=steps[steps.index.min()],
        training_last=steps[trained],
        learned=ssm_vlm_trained.numbers(evidence),
    )


def _tower(evidence: Evidence, label: str) -> Tower:
    rows = frames.where(evidence.growing_forward, variant=label).sort_values("patches")
    at = frames.only(evidence.growing_crossings, part=FORWARD, variant=label)
    first, last = rows["latency_ratio"].iloc[0], rows["latency_ratio"].iloc[-1]
    crosses = bool(at["high"] < NEVER)
    ends = [float(at[name]) if crosses else None for name in ("crossing", "low", "high")]
    return Tower(label, first, last, rows["memory_ratio"].iloc[-1], crosses, *ends)


@naming_files
def across_machines(evidence: Evidence) -> pd.DataFrame:
    """Vision Mamba relative to the transformer on every recorded machine: rows of `views.base.comparison`."""
    rows = evidence.compared(ssm_vlm_scaling)
    if rows.empty:
        return comparison(rows, "")
    rows, found = views.relative(rows), []
    for part in (FORWARD, TRAINING):
        here = rows[(rows["part"] == part) & (rows["variant"] == SEEING)]
        for kind, patches in (("smallest", "min"), ("largest", "max")):
            chosen = here[here["patches"] == here.groupby("machine")["patches"].transform(patches)]
            found.append(comparison(chosen, f"{SEEING} / transformer, {part}, {kind} image"))
    return pd.concat(found, ignore_index=True)
