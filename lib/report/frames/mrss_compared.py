"""Frames of the fair comparison of multi-resolution models: losses, accuracies and costs of the same models.

A variant is compared with the baseline seed by seed. The baseline is trained for one budget, which counts for both. A
variant whose training step takes the baseline's time has one training for both budgets, too.
"""

import numpy as np
import pandas as pd

from lib import names
from lib.experiments.mrss_compared import FORWARD, LABELS, TRAINED, TRAINING, TRIED
from lib.experiments.mrss_fair import STEPS, TIME
from lib.experiments.mrss_plans import BASELINE, PLANS
from lib.report import accuracy, frames, statistics
from lib.report.frames import Missing

LOSS = 0.01  # what a variant's loss may be above the baseline's, as a share of it
LAST = 5  # the end of a training that decides whether it had come to rest: one part in so many
RESTS = 0.01  # by which the loss on held-back data may still fall in that part, as a share
TOKENS, RECALL, WHOLE = "an output at every token", "recall", "one answer a sequence"  # kinds of tasks
RELATIVE = [f"relative{end}" for end in ("", "_low", "_high", "_apart", "_degrees")]
KEYS = ["machine", "task", "variant", "budget"]


def plan_of(task: str) -> str:
    """Name of the plan that readers call so.

    raises   Missing, quoting it, for another title
    """
    for name, title in LABELS.items():
        if title == task:
            return name
    raise Missing(f"{task}: there is no such plan")


def asks(task: str) -> str:
    """What a plan's benchmark asks for: TOKENS, RECALL or WHOLE."""
    row = names.BENCHMARKS[PLANS[plan_of(task)].task]
    return RECALL if row.solved is not None else TOKENS if row.tokens else WHOLE


def is_text(task: str) -> bool:
    """Whether a plan's benchmark is text, of which bits per character are told."""
    return PLANS[plan_of(task)].task == "characters"


def results(cases: pd.DataFrame, outcomes: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """One row per machine, task, variant and budget: what was learned, and what the same model costs.

    cases, outcomes, curves   of `lib.experiments.mrss_compared`
    returns   asks; seeds; loss [nats]; relative, loss over the baseline's less 1, and points, accuracy minus the
              baseline's as a share, each with _low, _high and _apart, a p-value; loss_verdict, of recall none;
              accuracy, verdict and what else `lib.report.accuracy.judged` has; valid, the last held-back loss; falls,
              see `curve_falls`; steps, rate, decay, edge; training, forward, each with _low and _high, and memory,
              relative to the baseline's; parameters; step_seconds and step_bytes of a training step; error. Numbers
              that a case has not are NaN. Where a plan's trainings are of equal time, too, a variant of one training
              has a row for both
    raises    Missing where a baseline is absent, or a seed of it
    """
    trained = outcomes[outcomes["part"] == TRAINED]
    said = settings(cases)
    found = said.merge(_losses(trained), on=KEYS, how="left").merge(_accuracies(trained), on=KEYS, how="left")
    found = found.merge(_ends(curves), on=KEYS, how="left")
    found = for_both(found.merge(costs(cases), on=["machine", "task", "variant"], how="left"))
    found = found.assign(asks=found["task"].map(asks))
    return found.assign(verdict=_of_accuracy(found), loss_verdict=_of_loss(found))


def settings(cases: pd.DataFrame) -> pd.DataFrame:
    """Steps, rate and decay of every training, whether the rate is at an edge of those that were tried, and errors."""
    trained = frames.where(cases, part=TRAINED)[[*KEYS, "steps", "rate", "decay", "error"]]
    tried = frames.where(cases, part=TRIED).groupby(["machine", "task", "variant"])["rate"].agg(["min", "max"])
    ends = tried.reindex(pd.MultiIndex.from_frame(trained[["machine", "task", "variant"]])).to_numpy()
    return trained.assign(edge=(trained["rate"].to_numpy()[:, None] == ends).any(axis=1))


def costs(cases: pd.DataFrame) -> pd.DataFrame:
    """A row per machine, task and variant: latency ratios, parameters, and memory and seconds of a training step."""
    within, keys = ("machine", "task"), ["machine", "task", "variant"]
    made = {}
    for part in (FORWARD, TRAINING):
        rows = frames.ratios(frames.where(cases, part=part), within=within)
        words = {f"latency_ratio{end}": f"{part}{end}" for end in ("", "_low", "_high")}
        words |= (
            {"memory_ratio": "memory", "seconds": "step_seconds", "memory_bytes": "step_bytes"}
            if part == TRAINING
            else {"parameters": "parameters"}
        )
        made[part] = rows[[*keys, *words]].rename(columns=words)
    return made[FORWARD].merge(made[TRAINING], on=keys, how="outer")


def for_both(found: pd.DataFrame) -> pd.DataFrame:
    """The same rows, and the one training of a variant as fast as the baseline a second time, as of equal time."""
    more = []
    for _, group in found.groupby(["machine", "task"], sort=False):
        if (group["budget"] == TIME).any():
            timed = set(group.loc[group["budget"] == TIME, "variant"])
            more.append(group[~group["variant"].isin(timed)].assign(budget=TIME))
    return pd.concat([found, *more], ignore_index=True)


def curve_falls(curve: pd.Series) -> float:
    """By how much the loss on held-back data fell in the last fifth of a training, as a share of what it was."""
    before = curve.iloc[-1 - max(1, round(len(curve) / LAST))] if len(curve) > 1 else np.nan
    return 1 - curve.iloc[-1] / before


def over_time(curves: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Held-back losses with `seconds`: steps times the measured seconds of a training step of that model.

    found    of `results`
    """
    steps = found.drop_duplicates(["machine", "task", "variant"])[["machine", "task", "variant", "step_seconds"]]
    rows = curves.merge(steps, on=["machine", "task", "variant"])
    return rows.assign(seconds=rows["step"] * rows["step_seconds"])


def _losses(trained: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (machine, task), group in trained.groupby(["machine", "task"], sort=False):
        base = group[group["variant"] == BASELINE].set_index("seed")
        if base.empty:
            raise Missing(f"{task}: no training of the {BASELINE} is recorded")
        for (variant, budget), cases in group.groupby(["variant", "budget"], sort=False):
            if missing := sorted(set(cases["seed"]) - set(base.index)):
                raise Missing(f"{task}: {variant} has seed {missing[0]}, {BASELINE} has not")
            before = base.loc[cases["seed"]]
            row = dict(zip(KEYS, (machine, task, variant, budget), strict=True)) | {"loss": cases["loss"].mean()}
            row |= _ended("points", cases["accuracy"].to_numpy() - before["accuracy"].to_numpy())
            if asks(task) != RECALL:  # where it is solved, a loss is next to none, and so is what it is divided by
                row |= _ended("relative", cases["loss"].to_numpy() / before["loss"].to_numpy() - 1)
            rows.append(row)
    made = pd.DataFrame(rows)
    return made if "relative" in made else made.assign(**dict.fromkeys(RELATIVE, np.nan))


def _ended(name: str, values: np.ndarray) -> dict[str, float]:
    one = statistics.paired_t(values)
    ends = {name: one.mean, f"{name}_low": one.low, f"{name}_high": one.high}
    return {**ends, f"{name}_apart": statistics.p_apart(one), f"{name}_degrees": one.degrees}


def _accuracies(trained: pd.DataFrame) -> pd.DataFrame:
    return accuracy.compared(trained)


def _ends(curves: pd.DataFrame) -> pd.DataFrame:
    by_seed = curves.groupby([*KEYS, "seed"], sort=False)["loss"]
    ends = pd.DataFrame({"valid": by_seed.last(), "falls": by_seed.agg(curve_falls)})
    return ends.groupby(level=KEYS, sort=False).mean().reset_index()


def _of_accuracy(found: pd.DataFrame) -> pd.Series:
    """Words of `lib.report.accuracy.judged`, adjusted over the tasks of a variant; none of failures."""
    rows = found[found["difference"].notna()]
    return accuracy.judged(rows)["verdict"].reindex(found.index) if len(rows) else pd.Series(np.nan, found.index)


def _of_loss(found: pd.DataFrame) -> pd.Series:
    """With equal steps, is the loss at most LOSS above the baseline's; in equal time, is it lower? The same words.

    Of recall and of failures there are none.
    """
    rows, words = found[found["relative"].notna()], [pd.Series(dtype=object)]
    for budget, allowed in ((STEPS, LOSS), (TIME, 0.0)):
        of = rows[rows["budget"] == budget]
        turned = of[KEYS].assign(
            difference=-of["relative"],
            difference_low=-of["relative_high"],
            difference_high=-of["relative_low"],
            degrees=of["relative_degrees"],
        )
        words += [accuracy.judged(turned, allowed)["verdict"]] if len(of) else []
    return pd.concat(words).reindex(found.index)
