"""Evidence on multi-resolution scanning: the original report's proxy, the real scan, and trainings."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import pandas as pd

from lib.experiments import mrss_proxy, mrss_scan, mrss_training
from lib.experiments.mrss_scan import label
from lib.report import accuracy, frames
from lib.report.frames.mrss import of_one
from lib.report.views.base import Base, complete, known, named

WITHIN = ("machine", "dim", "length")  # what a model and its baseline have in common


def by_factor(rows: pd.DataFrame) -> pd.DataFrame:
    """The proxy at every factor, with ratios to the baseline, of cases of its experiment."""
    return frames.ratios(known(frames.where(rows, part=mrss_proxy.BY_FACTOR)))


def by_part(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """ "forward" and "training" -> models on the real scan, with ratios to the baseline, of cases of its experiment."""
    parts = (mrss_scan.FORWARD, mrss_scan.TRAINING)
    return {part: frames.ratios(known(frames.where(rows, part=part)), within=WITHIN) for part in parts}


def in_the_middle(models: Mapping[str, pd.DataFrame], sizes: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Of these models, those at the greater width, the middle length and one factor.

    sizes   parameters of the record
    """
    at = {"dim": sizes["width"], "length": sizes["longest"] // mrss_scan.MIDDLE}
    return {part: known(frames.where(of_factor(rows, sizes["r"]), **at)) for part, rows in models.items()}


def of_factor(rows: pd.DataFrame, factor: int) -> pd.DataFrame:
    """Models at a factor, and those that have none of their own."""
    return rows[rows["factor"].fillna(factor) == factor]


class Views(Base):
    """Frames of the records on multi-resolution scanning, and toys, by name."""

    @property
    def proxy_operations(self) -> Sequence[int]:
        """Operations of the proxy in closed form, at the original report's sizes, in the order of its rows; a toy."""
        return self.toy("proxy_operations")

    @property
    def proxy_gradients(self) -> Mapping[int, bool]:
        """Factor -> whether a gradient reaches the low-rate branch of a replica of the original code; a toy."""
        return self.toy("proxy_gradients")

    @property
    def mended_gradients(self) -> Mapping[int, bool]:
        """The same of our proxy, whose upsampling stays in the graph; a toy."""
        return self.toy("mended_gradients")

    @property
    def weights_without_gradient(self) -> Sequence[str]:
        """Names of parameters that no gradient reaches in the original report's form on the real scan; a toy."""
        return self.toy("weights_without_gradient")

    @property
    def proxy_sizes(self) -> Mapping[str, Any]:
        """Parameters of the proxy's record: batch, length, dim, taps."""
        return self.records(mrss_proxy.NAME)[0].parameters

    @cached_property
    def proxy(self) -> pd.DataFrame:
        """The proxy at every factor, with ratios to the baseline."""
        rows = by_factor(self.frame(mrss_proxy))
        known(rows[rows["variant"] != mrss_proxy.BASELINE], each={"factor": mrss_proxy.FACTORS})
        return known(rows, "latency_ratio", "memory_ratio", "flops")

    @cached_property
    def proxy_lengths(self) -> pd.DataFrame:
        """The proxy at one factor, and its baseline, over length."""
        rows = known(frames.where(self.frame(mrss_proxy), part=mrss_proxy.LENGTHS))
        known(rows[rows["variant"] != mrss_proxy.BASELINE])
        return rows

    @cached_property
    def proxy_growth(self) -> pd.DataFrame:
        """Slopes of the proxy's latency over length."""
        rows = known(self.proxy_lengths, "seconds")
        known(rows[rows["variant"] != mrss_proxy.BASELINE])
        return known(frames.slopes(rows), "slope", "low", "high")

    @cached_property
    def scan_sizes(self) -> Mapping[str, Any]:
        """Parameters of the models on the real scan: r, width, longest, layers."""
        return self.records(mrss_scan.NAME)[0].parameters

    @property
    def middle(self) -> int:
        """Tokens at which models were timed with all factors."""
        return self.scan_sizes["longest"] // mrss_scan.MIDDLE

    @cached_property
    def scan(self) -> Mapping[str, pd.DataFrame]:
        """ "forward" and "training" -> models on the real scan, with ratios to the baseline."""
        return by_part(self.frame(mrss_scan))

    @cached_property
    def scan_at_factor(self) -> Mapping[str, pd.DataFrame]:
        """The same, of one factor: the one that was timed at all sizes."""
        found = {part: of_factor(rows, self.scan_sizes["r"]) for part, rows in self.scan.items()}
        return {part: complete(rows, "variant", ["dim", "length"]) for part, rows in found.items()}

    @cached_property
    def scan_in_the_middle(self) -> Mapping[str, pd.DataFrame]:
        """The same, at one size: the greater width and the middle length."""
        return in_the_middle(self.scan, self.scan_sizes)

    @cached_property
    def scan_lengths(self) -> pd.DataFrame:
        """Forward passes at the greater width over length: the baseline, the original form, all blocks at low rate."""
        variants = [mrss_scan.BASELINE, self.at_factor(mrss_scan.AS_WIDE), self.at_factor(mrss_scan.LOW)]
        rows = frames.where(self.scan[mrss_scan.FORWARD], dim=self.scan_sizes["width"])
        return known(rows[rows["variant"].isin(variants)], each={"variant": variants})

    @cached_property
    def scan_growth(self) -> pd.DataFrame:
        """Slopes of their latency over length."""
        return known(frames.slopes(self.scan_lengths), "slope")

    @cached_property
    def dual_as_wide(self) -> pd.DataFrame:
        """The dual branch as wide as the baseline, at the recorded factor, in all passes and at all sizes."""
        return self._dual(mrss_scan.AS_WIDE)

    @cached_property
    def dual_matched(self) -> pd.DataFrame:
        """The dual branch with the same number of parameters as the baseline, likewise."""
        return self._dual(mrss_scan.DUAL)

    @cached_property
    def dual_growth(self) -> pd.DataFrame:
        """Slope of the latency over length, of the dual branch as wide as the baseline."""
        rows = frames.where(
            self.scan[mrss_scan.FORWARD], dim=self.scan_sizes["width"], variant=self.at_factor(mrss_scan.AS_WIDE)
        )
        return known(frames.slopes(known(rows, "seconds")), "slope", "low", "high")

    @cached_property
    def dual_by_factor(self) -> pd.DataFrame:
        """The dual branch as wide as the baseline, by factor, in its forward pass at one size."""
        at = {"dim": self.scan_sizes["width"], "length": self.middle, "form": mrss_scan.AS_WIDE}
        rows = frames.where(self.scan[mrss_scan.FORWARD], **at)
        return known(rows, "latency_ratio", "memory_ratio", each={"factor": mrss_scan.FACTORS})

    @cached_property
    def dual_operations(self) -> pd.DataFrame:
        """Operations of the dual branch as wide as the baseline, by dim and length: predicted, counted.

        Predicted from the baseline's count in the original report's form: (1 + 1/r) of it, and the gate.
        """
        sizes, at = self.scan_sizes, ["machine", "dim", "length"]
        base, dual = (
            known(frames.where(self.scan[mrss_scan.FORWARD], variant=name), "flops").set_index(at)["flops"]
            for name in (mrss_scan.BASELINE, self.at_factor(mrss_scan.AS_WIDE))
        )
        rows = pd.DataFrame({"base": base, "counted": dual}).reset_index()
        gate = 2 * sizes["layers"] * rows["length"] * rows["dim"] ** 2
        return rows.assign(predicted=(1 + 1 / sizes["r"]) * rows["base"] + gate).drop(columns="base")

    @cached_property
    def trained(self) -> pd.DataFrame:
        """Accuracies of all trainings, a row each."""
        rows = mrss_training.accuracies(self.records(*named(mrss_training, mrss_training.TASKS)))
        complete(frames.where(rows, budget=mrss_training.STEPS), "variant", "task")
        return known(rows, "accuracy", each={"task": mrss_training.LABELS.values()})

    @property
    def training_sources(self) -> str:
        """Machine, day and commit of the records of trainings, for a caption."""
        return self.sources(*named(mrss_training, mrss_training.TASKS))

    @cached_property
    def resolutions(self) -> pd.DataFrame:
        """Accuracies by task, variant and budget, their differences to the baseline, judged."""
        return known(accuracy.judged(accuracy.compared(self.trained)), each={"task": mrss_training.LABELS.values()})

    @cached_property
    def dual_accuracy(self) -> pd.DataFrame:
        """Of the dual branch with the same number of parameters as the baseline, after equal steps."""
        chosen = {"variant": self.at_factor(mrss_scan.DUAL), "budget": mrss_training.STEPS}
        rows = frames.where(self.resolutions, **chosen)
        return known(rows, "difference_low", "difference_high", each={"task": mrss_training.LABELS.values()})

    @cached_property
    def training_losses(self) -> pd.DataFrame:
        """Losses over steps, of tasks that are not smooth, after equal steps."""
        rows = mrss_training.losses(self.records(*named(mrss_training, mrss_training.TASKS)))
        return known(rows[(rows["kind"] != mrss_training.SMOOTH) & (rows["budget"] == mrss_training.STEPS)])

    @cached_property
    def training_minutes(self) -> float:
        """What all trainings took, each on one thread."""
        rows = self.frame(mrss_training, *mrss_training.TASKS)
        return accuracy.training_minutes(known(frames.where(rows, part=mrss_training.TRAINED), "seconds"))

    @cached_property
    def trained_costs(self) -> Mapping[str, pd.DataFrame]:
        """ "forward" and "training" -> trained models at the sizes of their tasks, with ratios to the baseline."""
        rows = self.frame(mrss_training, *mrss_training.TASKS)
        return {
            part: frames.ratios(
                complete(known(frames.where(rows, part=part), "seconds"), "variant", "task"), within=("machine", "task")
            )
            for part in (mrss_training.FORWARD, mrss_training.TRAINING)
        }

    @cached_property
    def last_trained(self) -> pd.DataFrame:
        """Of `resolutions`, each variant's last training on each task: that with equal operations, where it has one."""
        return self.resolutions.drop_duplicates(["machine", "task", "variant"], keep="last")

    @cached_property
    def tradeoff(self) -> pd.DataFrame:
        """Accuracy and latency by task and variant, of the last training."""
        cost = self.trained_costs[mrss_training.FORWARD]
        merged = self.last_trained.merge(cost[["machine", "task", "variant", "kind", "latency_ratio"]])
        return known(merged, "latency_ratio", each={"task": mrss_training.LABELS.values()})

    @cached_property
    def low_by_task(self) -> pd.DataFrame:
        """All blocks at the low rate, a row per task: see `lib.report.frames.mrss.of_one`."""
        trained = frames.where(self.frame(mrss_training, *mrss_training.TASKS), part=mrss_training.TRAINED)
        made = of_one(self.at_factor(mrss_scan.LOW), self.last_trained, self.trained_costs, known(trained, "seconds"))
        return known(made, "forward", "training", "memory", each={"task": mrss_training.LABELS.values()})

    def at_factor(self, form: str) -> str:
        """The name of a form at the factor that was timed at all sizes."""
        return label(form, self.scan_sizes["r"])

    def _dual(self, form: str) -> pd.DataFrame:
        name = self.at_factor(form)
        rows = pd.concat(frames.where(rows, variant=name) for rows in self.scan_at_factor.values())
        # Of a training step no operations are counted.
        known(frames.where(self.scan[mrss_scan.FORWARD], variant=name), "flops_ratio")
        return known(rows, "latency_ratio")
