"""Evidence on the original report itself: its tables and runs, its repository, its checklist executed on this book."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import pandas as pd

from lib.experiments import clip_cost, ssm_scaling
from lib.experiments.clip_variants import NORM, UNREDUCED
from lib.report import frames, history, reproducibility
from lib.report.frames import Missing, original
from lib.report.views import ssm
from lib.report.views.base import Base, known

HALF = 0.5  # of the patches


class Views(Base):
    """The original report's tables, runs, repository and checklist, and what its later claims are held against."""

    @cached_property
    def original_mrss(self) -> pd.DataFrame:
        """Its table on multi-resolution scanning, with ratios to its baseline."""
        return original.mrss()

    @cached_property
    def original_clip(self) -> pd.DataFrame:
        """Its table on pruned tokens, with ratios to its baseline."""
        return original.clip()

    @cached_property
    def original_runs(self) -> pd.DataFrame:
        """All runs of its experiment on pruned tokens, with ratios to each run's baseline."""
        return original.runs()

    @cached_property
    def checklist(self) -> pd.DataFrame:
        """Its reproducibility checklist, executed on this book: item, holds, evidence."""
        return reproducibility.checklist(runs=self._runs)

    @cached_property
    def promised(self) -> pd.DataFrame:
        """Places of results that its checklists name: file, and by state whether it was there."""
        return history.promised(history.history())

    @cached_property
    def searches(self) -> Mapping[str, history.Search]:
        """What was looked for in all commits of its repository, and where it is."""
        return history.history().searches

    @cached_property
    def papers(self) -> Mapping[str, history.Paper]:
        """Models that it cites -> what their papers say."""
        return history.papers()

    @property
    def consistency(self) -> Mapping[str, Any]:
        """How often pruned answers are the unreduced model's, by the token that text is read at; a toy."""
        return self.toy("consistency")

    @property
    def plugs(self) -> Mapping[str, Mapping[str, bool]]:
        """Model -> what pruning needs of its image tower, and whether it is there; a toy."""
        return self.toy("plugs")

    @property
    def map_bytes(self) -> Mapping[int, int]:
        """Pixels a side -> bytes of one layer's attention maps of ViT-B/16 for one image; a toy."""
        return self.toy("map_bytes")

    @property
    def clip_parameters(self) -> int:
        """Number of weights of CLIP ViT-B/16; a toy."""
        return self.toy("clip_parameters")

    @cached_property
    def scan_against_attention(self) -> pd.DataFrame:
        """The fastest scan by length, with ratios of latency to attention's."""
        return against_attention(self.frame(ssm_scaling))

    @cached_property
    def scan_against_attention_on_gpus(self) -> pd.DataFrame:
        """The same on every machine with a GPU.

        raises   Missing where none is recorded
        """
        found = [one for one in self.everywhere(ssm_scaling.NAME) if one.environment.gpu]
        if not found:
            lacking = Missing(f"there is no record of {ssm_scaling.NAME} on a GPU")
            lacking.files = ""  # those of other machines were read, and are none of it
            raise lacking
        return against_attention(ssm_scaling.frame(found))

    @cached_property
    def norm_agreements(self) -> pd.DataFrame:
        """Share of the unreduced model's answers that small CLIPs give with half of the patches, chosen by norm."""
        rows = frames.where(self.reduced, variant=NORM, keep=HALF)
        return known(rows, "agreement")

    @cached_property
    def encoder_memory(self) -> pd.DataFrame:
        """Peak memory of the unreduced ViT-B/16 over resolution, beside input and weights: machine, side, held, tokens.

        `images` are those of one pass.
        """
        rows = frames.where(self.frame(clip_cost), part=clip_cost.RESOLUTION, variant=UNREDUCED)
        rows = known(rows, "memory_bytes")
        held = rows["memory_bytes"] - rows["input_bytes"]
        return rows.assign(held=held, tokens=rows["patches"] + 1, images=rows["batch"])


def against_attention(rows: pd.DataFrame) -> pd.DataFrame:
    """Of cases of token mixing the fastest scan at every length, with ratios of latency to attention's."""
    rows = ssm.beside(known(frames.where(rows, part=ssm_scaling.LENGTHS), each={"variant": (ssm.ATTENTION,)}))
    longest = rows[rows["length"] == rows.groupby("machine")["length"].transform("max")]
    fastest = {row.machine: row.variant for row in ssm.fastest(longest).itertuples()}
    scans = rows[rows["variant"] == rows["machine"].map(fastest)]
    both = frames.ratios(pd.concat([frames.where(rows, variant=ssm.ATTENTION), scans]), ssm.ATTENTION)
    return known(both[both["variant"] != ssm.ATTENTION], "latency_ratio")
