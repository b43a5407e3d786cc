"""What is recorded, as the frames that checks judge. Each is read when it is asked for, and once."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from lib.paths import RUNS
from lib.records import Record, find
from lib.report import accuracy, adapting, frames, pruning

TASKS = ("digits", "clocks", "motions", "plugs", "copying", "induction")
CLIPS = ("scenes", "cifar10")
FACTORS = (1, 2, 4)  # the seed's
KEPT = (0.7, 0.5)  # shares of patches that claims name
UNTOUCHED = ("untouched", ("machine", "batch"))


class Missing(LookupError):
    """There is no such record, or no toy of this name was computed: nothing can be decided by it."""


def known(frame: pd.DataFrame, *columns: str, each: Mapping[str, Iterable] = MappingProxyType({})) -> pd.DataFrame:
    """The frame itself, where it can decide something.

    columns   that are judged
    each      column -> values that must all be there
    raises    Missing where there is no row, a value is absent, or a judged number is: a case that failed has none
    """
    if frame.empty:
        raise Missing("no case of what is asked for is recorded")
    for column, values in each.items():
        if absent := [str(one) for one in values if one not in set(frame[column])]:
            raise Missing(f"no case with {column} {absent[0]} is recorded")
    for column in columns:
        if frame[column].isna().any():
            failed = frame.loc[frame[column].isna()].iloc[0]
            raise Missing(f"{failed.get('variant', 'a case')} on {failed.get('machine', 'a machine')} has no {column}")
    return frame


class Evidence:
    """Records of all machines, and toys computed live: name -> what came out, as `lib.tasks.toys` names them."""

    def __init__(self, toys: Mapping[str, Any] = MappingProxyType({}), runs: Path = RUNS, machine: str = "*"):
        self._toys, self._runs, self._machine = toys, runs, machine
        self.used: list[str] = []  # names of experiments, in the order in which they were read

    def fresh(self) -> "Evidence":
        """The same, of which nothing was read yet."""
        return Evidence(self._toys, self._runs, self._machine)

    def of_one_machine(self) -> "Evidence":
        """The same, of the first machine that has a record of the scan.

        raises   Missing where there is none
        """
        return Evidence(self._toys, self._runs, self.records("scan")[0].environment.machine)

    def toy(self, name: str) -> Any:
        """raises   Missing where it was not computed"""
        if name not in self._toys:
            raise Missing(f"the toy {name!r} was not computed")
        return self._toys[name]

    def records(self, *experiments: str) -> list[Record]:
        """Of every machine that is looked at.

        raises   Missing where there is none of one of them; RecordError for a broken file
        """
        for name in experiments:
            if not any(self._runs.glob(f"{self._machine}/{name}.json")):
                raise Missing(f"no machine has a record of {name}")
        self.used += [name for name in experiments if name not in self.used]
        found = [record for name in experiments for record in find(name, self._runs)]
        return [record for record in found if self._machine in ("*", record.environment.machine)]

    @cached_property
    def seed_mrss(self) -> pd.DataFrame:
        return frames.seed_mrss()

    @cached_property
    def seed_vtp(self) -> pd.DataFrame:
        return pruning.seed_vtp()

    @cached_property
    def proxy(self) -> pd.DataFrame:
        """The proxy by factor, with ratios to the baseline."""
        rows = frames.ratios(frames.gather(self.records("mrss_proxy"), "factors"))
        known(rows[rows["variant"] != "baseline"], each={"factor": FACTORS})
        return known(rows, "latency_ratio", "memory_ratio", "flops")

    @cached_property
    def proxy_growth(self) -> pd.DataFrame:
        """Slopes of the proxy's latency over length."""
        rows = frames.slopes(frames.gather(self.records("mrss_proxy"), "lengths"))
        known(rows[rows["variant"] != "baseline"])
        return known(rows, "slope", "low", "high")

    @cached_property
    def scan_sizes(self) -> Mapping[str, Any]:
        """Parameters of the models on the real scan: r, width, longest, layers."""
        return self.records("mrss_scan")[0].parameters

    @cached_property
    def scan(self) -> Mapping[str, pd.DataFrame]:
        """ "forward" and "training": models on the real scan, with ratios to the baseline."""
        recorded = self.records("mrss_scan")
        within = ("machine", "dim", "length")
        return {part: frames.ratios(frames.gather(recorded, part), within=within) for part in ("forward", "training")}

    def dual(self, form: str) -> pd.DataFrame:
        """The dual branch at the recorded factor, in all passes: "dual as wide", or "dual" with as many weights."""
        name = f"{form}, r = {self.scan_sizes['r']}"
        rows = pd.concat(frames.where(rows, variant=name) for rows in self.scan.values())
        known(frames.where(self.scan["forward"], variant=name), "flops_ratio")  # of a training step none are counted
        return known(rows, "latency_ratio")

    def dual_by_factor(self) -> pd.DataFrame:
        """The dual branch as wide as the baseline, in its forward pass, at one length and width."""
        rows = frames.where(self.scan["forward"], dim=self.scan_sizes["width"], length=self.scan_sizes["longest"] // 4)
        rows = rows[rows["form"] == "dual as wide"]
        return known(rows, "latency_ratio", "memory_ratio", each={"factor": (2, 4, 8)})

    @cached_property
    def resolutions(self) -> pd.DataFrame:
        """Accuracies of models on a slower clock over the baseline's, by task."""
        trained = self.records(*(f"mrss_{task}" for task in TASKS))
        return known(accuracy.judged(accuracy.compared(accuracy.accuracies(trained))), each={"task": TASKS})

    @cached_property
    def mixing_growth(self) -> pd.DataFrame:
        """Slopes of the latency of token mixing over the longer lengths: attention, S4D, the fastest of the scans."""
        rows = frames.gather(self.records("ssm_scaling"), "lengths")
        longest = rows[(rows["length"] == rows["length"].max()) & rows["variant"].str.startswith("scan")]
        fastest = set(longest.loc[longest.groupby("machine")["seconds"].idxmin(), "variant"])
        rows = frames.slopes(rows[rows["variant"].isin({"attention", "S4D", *fastest})], last=4)
        return known(rows, "slope", "low", "high", each={"variant": ("attention", "S4D", *fastest)})

    @cached_property
    def gate(self) -> pd.DataFrame:
        """The scan with its gate closed, with ratios to it with the gate open."""
        rows = frames.ratios(frames.gather(self.records("ssm_scaling"), "gate"), baseline="step open")
        return known(rows, "latency_ratio", "flops_ratio", each={"variant": ("step open", "step closed")})

    def counted(self, variant: str, part: str, over: str) -> float:
        """Exponent of operations in a size, over the three largest."""
        rows = known(frames.where(frames.gather(self.records("ssm_scaling"), part), variant=variant), "flops")
        return frames.slopes(rows, "flops", over, last=3)["slope"].iloc[0]

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """The rank that every bank of kernels needs for an error of one percent: bank, trained, needed, full."""
        kept = accuracy.relative_errors(self.records("distillation"))
        rows = known(kept[kept["part"] == "rank"], "order")
        trained = rows["variant"].str.endswith(", trained")
        known(rows[trained])
        full = rows["full"].astype(int)
        return pd.DataFrame({"bank": rows["variant"], "trained": trained, "needed": rows["order"], "full": full})

    @cached_property
    def low_rank(self) -> pd.DataFrame:
        """Convolutions of low rank, with ratios to that with full kernels and a cached spectrum."""
        rows = frames.gather(self.records("distillation"), "sequence")
        rows = frames.ratios(rows, "full kernel", ("machine", "length"))
        return known(rows[rows["variant"].str.startswith("low rank")], "latency_ratio")

    @cached_property
    def pruned(self) -> pd.DataFrame:
        """The seed's code by the share of patches kept, with ratios to the untouched tower."""
        rows = frames.ratios(frames.gather(self.records("clip_cost"), "seed"), *UNTOUCHED)
        return known(rows[rows["variant"] != "untouched"], "latency_ratio", "memory_ratio", each={"keep": KEPT})

    @cached_property
    def reduced(self) -> pd.DataFrame:
        """Accuracies by the share of patches kept, a row per checkpoint; tasks as readers see them."""
        every = pruning.outcomes(self.records(*(f"clip_accuracy_{task}" for task in CLIPS)))
        rows = known(every[every["target"].isna()], "accuracy", each={"task": CLIPS})
        return rows.assign(task=rows["task"].map(pruning.NAMES))

    def reduced_against(self, variant: str, other: str) -> pd.DataFrame:
        """One way of choosing patches against another at the same share, checkpoint by checkpoint."""
        rows = known(self.reduced[self.reduced["variant"].isin([variant, other])], each={"variant": (variant, other)})
        return pd.concat(
            accuracy.compared(group, other, ("variant", "keep")) for _, group in rows.groupby("keep", sort=False)
        )

    @cached_property
    def adapting_cost(self) -> pd.DataFrame:
        """Training steps of CLIP by what learns, with ratios to full fine-tuning."""
        rows = frames.gather(self.records("lora_cost"), "step")
        rows = frames.ratios(rows, adapting.FULL, ("machine", "batch"))
        return known(rows[rows["variant"] == adapting.USUAL], "memory_ratio", "trainable", "total")

    @cached_property
    def adapted(self) -> pd.DataFrame:
        """Trainings on new labels, a row each; tasks as readers see them."""
        rows = adapting.outcomes(self.records(*(f"lora_labels_{task}" for task in CLIPS)))
        known(rows, "accuracy", each={"task": CLIPS})
        return rows.assign(task=rows["task"].map(pruning.NAMES))
