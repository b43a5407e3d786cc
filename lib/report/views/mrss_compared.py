"""Evidence of the fair comparison of multi-resolution models, of all plans that the reference machine has trained."""

from collections.abc import Mapping
from functools import cached_property

import pandas as pd

from lib.experiments import mrss_compared, mrss_gates, mrss_references
from lib.experiments.mrss_compared import LABELS, LENGTHS, TASKS, TRAINED
from lib.experiments.mrss_fair import STEPS
from lib.experiments.mrss_plans import PLANS
from lib.report import frames
from lib.report.frames import Missing
from lib.report.frames.mrss_compared import over_time, results
from lib.report.published import Published, published
from lib.report.views.base import Base, known, named


class Views(Base):
    """Frames of records of the fair comparison, of its references, and of learned gates, by name."""

    @cached_property
    def fair_plans(self) -> list[str]:
        """Names of the plans that are recorded, in the table's order.

        raises   Missing where none is
        """
        return self.recorded(mrss_compared, TASKS)

    @property
    def fair_lacking(self) -> list[str]:
        """What readers call the plans that are not recorded."""
        return [LABELS[name] for name in TASKS if name not in self.fair_plans]

    @property
    def fair_sources(self) -> str:
        """Machine, day and commit of the records of the comparison, for a caption."""
        return self.sources(*named(mrss_compared, self.fair_plans))

    @property
    def fair_protocol(self) -> str:
        """The protocol of the trainings, as their records have it.

        raises   Missing, naming both plans, where two were trained by different ones
        """
        said = {one.experiment: one.parameters.get("protocol") for one in self._fair}
        first, *others = said
        for other in others:
            if said[other] != said[first]:
                raise Missing(f"{first} and {other} were trained by different protocols")
        return str(said[first])

    @cached_property
    def fair_outcomes(self) -> pd.DataFrame:
        """A row per training and seed: accuracy and loss on the test set."""
        rows = mrss_compared.outcomes(self._fair)
        return known(rows[rows["part"] == TRAINED])

    @cached_property
    def fair_tried(self) -> pd.DataFrame:
        """A row per variant, rate and decay that was tried: the held-back loss it came to, NaN where it diverged."""
        rows = mrss_compared.trials(self._fair)
        return known(rows)

    @cached_property
    def fair_results(self) -> pd.DataFrame:
        """Losses, accuracies and costs of the same models: see `lib.report.frames.mrss_compared.results`."""
        return results(mrss_compared.frame(self._fair), self.fair_outcomes, mrss_compared.curves(self._fair))

    @cached_property
    def fair_original(self) -> pd.DataFrame:
        """Of these, the original report's two forms as wide as the baseline, after equal steps.

        raises   Missing where no recorded plan has them, and where one of them diverged or failed
        """
        rows = frames.where(self.fair_results, budget=STEPS)
        return known(rows[rows["variant"].str.contains("as wide")], "points", "forward", "training")

    @cached_property
    def fair_curves(self) -> pd.DataFrame:
        """Losses on data held back over steps and over measured seconds, a row per training and twentieth of it."""
        return over_time(mrss_compared.curves(self._fair), self.fair_results)

    @cached_property
    def fair_lengths(self) -> pd.DataFrame:
        """Accuracies on sequences of other lengths, a row per training, seed and length.

        raises   Missing where no recorded plan was judged by them
        """
        rows = mrss_compared.outcomes(self._fair)
        return known(rows[rows["part"] == LENGTHS])

    @cached_property
    def fair_references(self) -> pd.DataFrame:
        """What references come to, a row per recorded plan and reference: accuracy and loss [nats], means over seeds.

        A plan of other forms has those of its benchmark. Where a plan's references are not recorded there are none.
        """
        rows = [pd.DataFrame(columns=["machine", "task", "variant", "accuracy", "loss"])]
        for plan in self.fair_plans:
            name = mrss_references.NAME.format(task=mrss_references.shared(plan))
            if self._has(name):
                found = mrss_references.outcomes(self.records(name))
                means = found.groupby(["machine", "variant"], sort=False)[["accuracy", "loss"]].mean().reset_index()
                rows.append(means.assign(task=LABELS[plan]))
        return pd.concat(rows if len(rows) == 1 else rows[1:], ignore_index=True)

    @property
    def fair_published(self) -> Mapping[str, tuple[Published, ...]]:
        """Title of a recorded plan -> what others report on its benchmark; those without a number are left out."""
        every = published()
        return {LABELS[plan]: every[PLANS[plan].task] for plan in self.fair_plans if PLANS[plan].task in every}

    @cached_property
    def gates_timed(self) -> pd.DataFrame:
        """Forward passes of models with gates as learned, all open and all closed, with ratios to the baseline's."""
        rows = frames.where(self.frame(mrss_gates), part=mrss_gates.FORWARD)
        return frames.ratios(known(rows, "seconds"))

    @cached_property
    def gates_trained(self) -> pd.DataFrame:
        """What those models learned: accuracy, loss, and the shares of tokens that their gates let through."""
        return known(mrss_gates.accuracies(self.records(mrss_gates.NAME)), "accuracy")

    @cached_property
    def gates_signal(self) -> pd.DataFrame:
        """The test signal whose uses are recorded, token by token."""
        return mrss_gates.signals(self.records(mrss_gates.NAME))

    @cached_property
    def gates_used(self) -> pd.DataFrame:
        """What gates made of each token of that signal."""
        return mrss_gates.tokens(self.records(mrss_gates.NAME))

    @property
    def _fair(self):
        return self.records(*named(mrss_compared, self.fair_plans))
