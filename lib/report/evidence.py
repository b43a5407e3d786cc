"""What is recorded, as the frames that checks judge. Each is read when it is asked for, and once."""

from collections.abc import Mapping
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
UNTOUCHED = ("untouched", ("machine", "batch"))


class Missing(LookupError):
    """There is no such record, or no toy of this name was computed: nothing can be decided by it."""


class Evidence:
    """Records of all machines, and toys computed live: name -> what came out, as `lib.tasks.toys` names them."""

    def __init__(self, toys: Mapping[str, Any] = MappingProxyType({}), runs: Path = RUNS):
        self._toys, self._runs = toys, runs
        self.used: list[str] = []  # names of experiments, in the order in which they were read

    def fresh(self) -> "Evidence":
        """The same, of which nothing was read yet."""
        return Evidence(self._toys, self._runs)

    def toy(self, name: str) -> Any:
        """raises   Missing where it was not computed"""
        if name not in self._toys:
            raise Missing(f"the toy {name!r} was not computed")
        return self._toys[name]

    def records(self, *experiments: str) -> list[Record]:
        """Of every machine.

        raises   Missing where there is none of one of them; RecordError for a broken file
        """
        for name in experiments:
            if not any(self._runs.glob(f"*/{name}.json")):
                raise Missing(f"no machine has a record of {name}")
        self.used += [name for name in experiments if name not in self.used]
        return [record for name in experiments for record in find(name, self._runs)]

    @cached_property
    def seed_mrss(self) -> pd.DataFrame:
        return frames.seed_mrss()

    @cached_property
    def seed_vtp(self) -> pd.DataFrame:
        return pruning.seed_vtp()

    @cached_property
    def proxy(self) -> pd.DataFrame:
        """The proxy by factor, with ratios to the baseline."""
        return frames.ratios(frames.gather(self.records("mrss_proxy"), "factors"))

    @cached_property
    def proxy_growth(self) -> pd.DataFrame:
        """Slopes of the proxy's latency over length."""
        return frames.slopes(frames.gather(self.records("mrss_proxy"), "lengths"))

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
        return pd.concat(frames.where(rows, variant=name) for rows in self.scan.values())

    @cached_property
    def resolutions(self) -> pd.DataFrame:
        """Accuracies of models on a slower clock over the baseline's, by task."""
        trained = self.records(*(f"mrss_{task}" for task in TASKS))
        return accuracy.judged(accuracy.compared(accuracy.accuracies(trained)))

    @cached_property
    def mixing_growth(self) -> pd.DataFrame:
        """Slopes of the latency of token mixing over the longer lengths: attention, S4D, the fastest of the scans."""
        rows = frames.gather(self.records("ssm_scaling"), "lengths")
        longest = rows[(rows["length"] == rows["length"].max()) & rows["variant"].str.startswith("scan")]
        fastest = set(longest.loc[longest.groupby("machine")["seconds"].idxmin(), "variant"])
        return frames.slopes(rows[rows["variant"].isin({"attention", "S4D", *fastest})], last=4)

    @cached_property
    def gate(self) -> pd.DataFrame:
        """The scan with its gate closed, with ratios to it with the gate open."""
        return frames.ratios(frames.gather(self.records("ssm_scaling"), "gate"), baseline="step open")

    def counted(self, variant: str, part: str, over: str) -> float:
        """Exponent of operations in a size, over the three largest."""
        rows = frames.where(frames.gather(self.records("ssm_scaling"), part), variant=variant)
        return frames.slopes(rows, "flops", over, last=3)["slope"].iloc[0]

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """The rank that every bank of kernels needs for an error of one percent: bank, needed, full."""
        kept = accuracy.relative_errors(self.records("distillation"))
        rows = kept[kept["part"] == "rank"]
        return pd.DataFrame({"bank": rows["variant"], "needed": rows["order"], "full": rows["full"].astype(int)})

    @cached_property
    def low_rank(self) -> pd.DataFrame:
        """Convolutions of low rank, with ratios to that with full kernels and a cached spectrum."""
        rows = frames.gather(self.records("distillation"), "sequence")
        rows = frames.ratios(rows, "full kernel", ("machine", "length"))
        return rows[rows["variant"].str.startswith("low rank")]

    @cached_property
    def pruned(self) -> pd.DataFrame:
        """The seed's code by the share of patches kept, with ratios to the untouched tower."""
        rows = frames.ratios(frames.gather(self.records("clip_cost"), "seed"), *UNTOUCHED)
        return rows[rows["variant"] != "untouched"]

    @cached_property
    def reduced(self) -> pd.DataFrame:
        """Accuracies by the share of patches kept, a row per checkpoint; tasks as readers see them."""
        every = pruning.outcomes(self.records(*(f"clip_accuracy_{task}" for task in CLIPS)))
        rows = every[every["target"].isna()]
        return rows.assign(task=rows["task"].map(pruning.NAMES))

    def reduced_against(self, variant: str, other: str) -> pd.DataFrame:
        """One way of choosing patches against another at the same share, checkpoint by checkpoint."""
        rows = self.reduced[self.reduced["variant"].isin([variant, other])]
        return pd.concat(
            accuracy.compared(group, other, ("variant", "keep")) for _, group in rows.groupby("keep", sort=False)
        )

    @cached_property
    def adapted(self) -> pd.DataFrame:
        """Trainings on new labels, a row each; tasks as readers see them."""
        rows = adapting.outcomes(self.records(*(f"lora_labels_{task}" for task in CLIPS)))
        return rows.assign(task=rows["task"].map(pruning.NAMES))
