"""Blocks at a low rate against the baseline, on tagging, by the fair protocol: time, memory and loss of one model."""

from dataclasses import dataclass

import pandas as pd

from lib.experiments import mrss_compared
from lib.experiments.mrss_fair import STEPS, TIME
from lib.experiments.mrss_plans import MIXED, PLANS
from lib.report import frames, prose, units
from lib.report.evidence import Evidence
from lib.report.frames import mrss_bars
from lib.report.frames.mrss_compared import TOKENS
from lib.report.headlines.case import Headline, Measured, Model, Point, itemised, measured, points
from lib.report.views.files import naming_files

PLAN = "tagging"  # an output at every token, so that no stem can stand in for the branch
FORMS = "tagging_forms"  # where the original report's form is trained, as wide as the baseline
LABEL = mrss_compared.LABELS[PLAN]
FORWARD, TRAINING = (tuple(f"{part}{end}" for end in ("", "_low", "_high")) for part in ("forward", "training"))
RELATIVE = ("relative", "relative_low", "relative_high")


@dataclass(frozen=True)
class Compared:
    """A variant of one plan: its row after equal steps, and in equal time where it was trained so."""

    plan: str
    steps: pd.Series
    timed: pd.Series | None

    @property
    def model(self) -> Model:
        """What its numbers are of."""
        plan = PLANS[self.plan]
        sizes = {"layers": plan.layers, "channels": plan.dim, "parameters of blocks": int(self.steps["parameters"])}
        return Model(self.steps["variant"], self.steps["task"], sizes)

    def ratio(self, columns: tuple[str, ...]) -> Measured:
        """A cost relative to the baseline's."""
        return self._of(self.steps, columns, lambda value: units.times(value))

    def loss(self, row: pd.Series) -> Measured:
        """The test loss relative to the baseline's, less one."""
        said = f"{prose.around(*(row[column] for column in RELATIVE), '+')} %"
        return self._of(row, RELATIVE, lambda _: said)

    @property
    def accuracy(self) -> Measured:
        """Accuracy minus the baseline's, after equal steps."""
        return points(self.steps, self._record, self.model)

    @property
    def _record(self) -> str:
        return mrss_compared.NAME.format(task=self.plan)

    def _of(self, row: pd.Series, columns: tuple[str, ...], show) -> Measured:
        return measured(row, columns, show, self._record, self.model)


@naming_files
def headline(e: Evidence) -> Headline:
    """The form that comes closest to the bar, beside the original report's form where it was trained so.

    raises   Missing where a form was not timed or not trained
    """
    rows = frames.where(e.fair_results, task=LABEL)
    ours = compared(rows, closest(rows))
    found = {
        "time": ours.ratio(FORWARD),
        "training time": ours.ratio(TRAINING),
        "training memory": ours.ratio(("memory",)),
        "loss at equal steps": ours.loss(ours.steps),
        "accuracy": ours.accuracy,
    }
    if ours.timed is not None:
        found["loss in equal time"] = ours.loss(ours.timed)
    model, said = ours.model, {name: one.printed for name, one in found.items()}
    items = [
        f"Its training step takes {said['training time']} the time and {said['training memory']} the memory.",
        f"After equal steps its accuracy is {said['accuracy']} points relative to the baseline's.",
    ]
    if ours.timed is not None:
        items.append(f"In equal time its loss is {said['loss in equal time']} relative to the baseline's.")
    items.append(f"It has {model.sizes['channels']} channels and {model.sizes['layers']} blocks, {rates(model)}.")
    beside: dict[str, Measured] = {}
    proposed = None
    if FORMS in e.fair_plans:
        original = proposal(e)
        took, lost = original.ratio(FORWARD), original.loss(original.steps)
        beside = {"original form, time": took, "original form, loss": lost}
        proposed = Point(took.value, f"two branches as wide, {lost.printed} loss")
        items.append(
            f"The original report's two branches, as wide as the baseline, take {took.printed} for {lost.printed} of "
            f"loss, after {PLANS[FORMS].steps} steps of both."
        )
    not_there = elsewhere(e)
    first = (
        f"On {LABEL} of generated signals, with an output at every token, a Mamba with blocks at a lower temporal "
        f"resolution (*{model.words}*) takes **{said['time']}** the time of a baseline with the same number of "
        f"parameters. After equal steps its test loss is **{said['loss at equal steps']}** relative to the baseline's."
    )
    return Headline(
        topic="Multi-resolution scan",
        text=itemised(first, *items, not_there),
        chapter="mrss",
        machine=e.title,
        model=model,
        measured=found,
        beside=beside,
        baseline="one resolution",
        proposed=proposed,
        reached=Point(found["time"].value, f"{model.words}, {said['loss at equal steps']} loss on {LABEL}"),
        elsewhere=not_there,
    )


def closest(rows: pd.DataFrame) -> str:
    """The *low* or *hybrid* form that comes closest to the bar, see `lib.report.frames.mrss_bars.order`.

    rows     of `lib.report.frames.mrss_compared.results`, of one task
    raises   Missing where no such form was trained
    """
    bars = mrss_bars.of_task(rows)
    if not bars:
        raise frames.Missing(f"no low-rate form was trained on {LABEL}")
    return min(bars, key=lambda bar: mrss_bars.order(bar, rows)).variant


def rates(model: Model) -> str:
    """Which blocks of a *low* or *hybrid* form run at which temporal resolution, in words."""
    name, _, factor = model.words.partition(", r = ")
    layers = int(model.sizes["layers"])
    full = 0 if name == "low" else MIXED[name][1] if name in MIXED else layers // 2
    if not full:
        return f"all at 1/{factor} of the temporal resolution"
    return f"{full} of them at the full temporal resolution and {layers - full} at 1/{factor} of it"


def compared(rows: pd.DataFrame, variant: str, plan: str = PLAN) -> Compared:
    """A variant's rows of one plan."""
    timed = frames.where(rows, variant=variant, budget=TIME)
    return Compared(plan, frames.only(rows, variant=variant, budget=STEPS), None if timed.empty else timed.iloc[0])


def proposal(e: Evidence) -> Compared:
    """The original report's form with one low-rate branch, as wide as the baseline."""
    rows = frames.where(e.fair_results, task=mrss_compared.LABELS[FORMS])
    (wide,) = [name for name in rows["variant"].unique() if name.startswith("dual as wide")]
    return compared(rows, wide, FORMS)


def elsewhere(e: Evidence) -> str:
    """Where such a form is not shown to help, in sentences; nothing where it helps everywhere."""
    found = e.fair_results
    tokens = frames.where(found, asks=TOKENS)
    made = {task: mrss_bars.of_task(rows) for task, rows in tokens[tokens["task"] != LABEL].groupby("task", sort=False)}
    higher, lost = (
        [task for task, bars in made.items() if bars and all(part in bar.missed for bar in bars)]
        for part in (mrss_bars.EQUAL_LOSS, mrss_bars.LOWER_LOSS)
    )
    whole = mrss_bars.patches_or_forms(found, e.fair_outcomes)
    control, forms = (
        [task for task, (one, _) in whole.items() if one == word] for word in (mrss_bars.CONTROL, mrss_bars.FORM)
    )
    said = [f"After equal steps every such form has a higher mean loss on {units.listed(higher)}."] if higher else []
    said += [f"In equal time no such form has a lower loss on {units.listed(lost)}."] if lost else []
    if control:
        where = units.listed(control)
        others = f", or a form is ({units.listed(forms)})" if forms else ""
        said.append(f"With one answer per sequence, patches before a plain Mamba are better ({where}){others}.")
    return " ".join(said)
