"""What the fair comparison decides: whether a low rate pays, whether patches do, and whether variants differ at all.

All functions read rows of `lib.report.frames.mrss_compared.results`, of one machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from lib import names
from lib.experiments.mrss_fair import STEPS, TIME
from lib.experiments.mrss_plans import BASELINE
from lib.report import frames, statistics
from lib.report.accuracy import POINT
from lib.report.frames import Missing
from lib.report.frames.mrss_compared import RECALL, RESTS, TOKENS, WHOLE

FASTER, RECALL_FASTER = 0.6, 0.8  # of the baseline's time: what a form may take; on recall, where half of it is
MET, ON_AVERAGE, MISSED = "met", "met on average", "missed"  # of a bar and its parts, best first
CONTROL, FORM, NOT_SEPARATED = "control", "form", "not separated"
INFERENCE, TRAINING = "inference time", "training time"
EQUAL_LOSS, LOWER_LOSS, ACCURACY = "loss at equal steps", "loss in equal time", "accuracy at equal steps"
WRAPPED = "wrapped"  # a control at the full rate: no multi-resolution form
LEVEL = 0.05  # of p-values that are adjusted for their number
_RANKS = (MET, ON_AVERAGE, MISSED)
_WORDS = {"kept": MET, "kept on average": ON_AVERAGE}


@dataclass(frozen=True)
class Bar:
    """How far a form comes on a task.

    parts     what the bar needs, in words -> MET, ON_AVERAGE or MISSED
    """

    task: str
    variant: str
    parts: Mapping[str, str]

    @property
    def outcome(self) -> str:
        """That of the worst part: a bar is met where all parts are."""
        return max(self.parts.values(), key=_RANKS.index)

    @property
    def missed(self) -> list[str]:
        """Parts that are missed."""
        return [part for part, word in self.parts.items() if word == MISSED]


def is_control(variant: str) -> bool:
    """Whether a variant shortens the sequence before the first block: a stem, or larger patches of an image."""
    return variant.partition(",")[0] in names.STEMS or variant.endswith(" patches")


def is_low(variant: str) -> bool:
    """Whether a variant is one of the forms that the bars are about: *low*, or a *hybrid*."""
    return variant.partition(",")[0].split()[0] in ("low", "hybrid")


def on_tokens(found: pd.DataFrame) -> list[Bar]:
    """The best of *low* and *hybrid* on each task with an output at every token, by how much of the bar it clears.

    The bar: FASTER of the baseline's time in training and in inference; a loss at most a hundredth above the baseline's
    with equal steps; and a lower one in equal time.
    """
    made = [(rows, of_task(rows)) for _, rows in _tasks(found, TOKENS)]
    return [min(bars, key=lambda bar: order(bar, rows)) for rows, bars in made if bars]


def of_task(rows: pd.DataFrame) -> list[Bar]:
    """How far each *low* and each *hybrid* comes on one task with an output at every token."""
    forms = [variant for variant in rows["variant"].unique() if is_low(variant)]
    return [Bar(rows["task"].iloc[0], one, _of_loss(frames.where(rows, variant=one))) for one in forms]


def on_recall(found: pd.DataFrame) -> list[Bar]:
    """The best *hybrid* on each task of recall.

    The bar: RECALL_FASTER of the baseline's time, and at most a point of accuracy less with equal steps, where no fewer
    seeds solve the task.
    """
    bars = []
    for task, rows in _tasks(found, RECALL):
        forms = [variant for variant in rows["variant"].unique() if variant.startswith("hybrid")]
        made = [Bar(task, variant, _of_accuracy(frames.where(rows, variant=variant))) for variant in forms]
        bars += [min(made, key=lambda bar: order(bar, rows))] if made else []
    return bars


def patches_or_forms(found: pd.DataFrame, trained: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """On each task with one answer a sequence: whether a control beats every multi-resolution form, and which control.

    The control of the lowest held-back loss is compared with each form, seed by seed, with p-values adjusted for their
    number: in equal time where trainings were, else with equal steps.

    trained   of `lib.experiments.mrss_compared.outcomes`
    returns   task -> CONTROL, where it beats all forms; FORM, where one beats it; else NOT_SEPARATED; and its label
    """
    made = {}
    for task, rows in _tasks(found, WHOLE):
        budget = TIME if (rows["budget"] == TIME).any() else STEPS
        rows = frames.where(rows, budget=budget).dropna(subset="valid")
        controls = rows[rows["variant"].map(is_control)]
        forms = [name for name in rows["variant"] if name not in (BASELINE, WRAPPED) and not is_control(name)]
        if controls.empty or not forms:
            continue
        control = controls.loc[controls["valid"].idxmin(), "variant"]
        gains = [_accuracies(trained, task, control, budget) - _accuracies(trained, task, one, budget) for one in forms]
        intervals = [statistics.paired_t(gain.to_numpy()) for gain in gains]
        sure = [p <= LEVEL for p in statistics.holm([statistics.p_apart(one) for one in intervals])]
        above = [one.mean > 0 for one in intervals]
        beaten = any(certain and not up for certain, up in zip(sure, above, strict=True))
        made[task] = (CONTROL if all(sure) and all(above) else FORM if beaten else NOT_SEPARATED, control)
    return made


def separated(found: pd.DataFrame) -> dict[str, list[str]]:
    """Task -> variants that differ from the baseline with equal steps, by tests adjusted for the variants of a task.

    Of the loss with an output at every token, else of the accuracy.
    """
    made = {}
    for task, rows in frames.where(found, budget=STEPS).groupby("task", sort=False):
        column = "relative_apart" if rows["asks"].iloc[0] == TOKENS else "points_apart"
        rows = rows[(rows["variant"] != BASELINE) & rows[column].notna()]
        adjusted = statistics.holm(rows[column].tolist())
        made[task] = [name for name, p in zip(rows["variant"], adjusted, strict=True) if p <= LEVEL]
    return made


def still_falling(found: pd.DataFrame) -> list[str]:
    """Tasks on which the baseline's held-back loss still fell, by more than RESTS in the last fifth of its training."""
    base = frames.where(found, variant=BASELINE, budget=STEPS)
    return list(base.loc[base["falls"] > RESTS, "task"])


def at_the_edge(found: pd.DataFrame) -> list[str]:
    """Trainings whose rate is the lowest or the highest that was tried: `variant on task`."""
    rows = found[found["edge"] & (found["budget"] == STEPS)]
    return [f"{row.variant} on {row.task}" for row in rows.itertuples()]


def order(bar: Bar, rows: pd.DataFrame) -> tuple[int, bool, float, float]:
    """Better forms come first: those that miss fewest parts on average.

    Then by training time, where the bar's times are missed; else by the loss relative to the baseline's, in equal time
    where it was trained so.
    """
    mine = rows[rows["variant"] == bar.variant]
    training, last = mine["training"].iloc[0], mine.sort_values("budget", key=lambda one: one == STEPS).iloc[0]
    slow = INFERENCE in bar.missed or TRAINING in bar.missed
    lost = training if slow or pd.isna(last["relative"]) else last["relative"]
    return len(bar.missed), slow, float(lost), float(training)


def _tasks(found: pd.DataFrame, asked: str) -> list[tuple[str, pd.DataFrame]]:
    return list(frames.where(found, asks=asked).groupby("task", sort=False))


def _of_costs(row: pd.Series, most: float) -> dict[str, str]:
    return {
        INFERENCE: MET if row["forward"] <= most else MISSED,
        TRAINING: MET if row["training"] <= most else MISSED,
    }


def _of_loss(rows: pd.DataFrame) -> dict[str, str]:
    """Parts of the bar, of a variant's rows; what was not measured is missed."""
    words = dict(zip(rows["budget"], rows["loss_verdict"], strict=True))
    losses = {EQUAL_LOSS: words.get(STEPS), LOWER_LOSS: words.get(TIME)}
    return _of_costs(rows.iloc[0], FASTER) | {part: _WORDS.get(word, MISSED) for part, word in losses.items()}


def _of_accuracy(rows: pd.DataFrame) -> dict[str, str]:
    row = frames.only(rows, budget=STEPS)
    if row["verdict"] != "kept" or not row["points"] >= -POINT:
        word = MISSED
    else:
        word = MET if row["points_low"] >= -POINT else ON_AVERAGE
    return _of_costs(row, RECALL_FASTER) | {ACCURACY: word}


def _accuracies(trained: pd.DataFrame, task: str, variant: str, budget: str) -> pd.Series:
    """Accuracies by seed; of a variant of one budget those count for the other."""
    rows = frames.where(trained, part="trained", task=task, variant=variant)
    rows = rows[rows["budget"] == budget] if (rows["budget"] == budget).any() else rows
    if rows.empty:
        raise Missing(f"{task}: no training of {variant} is recorded")
    return rows.set_index("seed")["accuracy"]
