"""Evidence on CLIP with fewer visual tokens: costs at the size of ViT-B/16, costs and accuracies of small CLIPs, toys.

What the original report's claims are about, CLIP with its published weights, has views of the same kind, `real_clip_*`:
they read its record of accuracies (`lib.experiments.clip_accuracy`), where there is one.
"""

from collections.abc import Mapping
from functools import cached_property

import pandas as pd

from lib.experiments import clip_accuracy, clip_cost, clip_training
from lib.experiments.clip_variants import MENDED, NORM, ORIGINAL, RANDOM, ROUNDS, SUMMARY, SWAPPED, UNREDUCED
from lib.names import SMALL_CLIPS
from lib.report import accuracy, frames
from lib.report.frames import clip, clip_equal
from lib.report.views.base import Base, complete, known

CLAIMED = (0.7, 0.5)  # shares of patches that claims name
WITHIN = ("machine", "batch", "side")
SMALL = ["latency_ratio", "latency_ratio_low", "latency_ratio_high", "memory_ratio", "checkpoint"]
KINDS = ("variant", "keep")
REAL_DATA = ("cifar10",)  # that the original report tested CLIP on


class Views(Base):
    """Frames of the records on CLIP's visual tokens, and toys, by name."""

    @property
    def patches(self) -> Mapping[int, int]:
        """Pixels a side -> patches of ViT-B/16; a toy."""
        return self.toy("patches")

    @property
    def operations_by_part(self) -> pd.DataFrame:
        """Operations of ViT-B/16: side, part, flops; a toy."""
        return pd.DataFrame(self.toy("operations_by_part"))

    @property
    def prompts_alike(self) -> Mapping[str, bool]:
        """ "start" and "end" -> whether all prompts have equal features, read at this token; a toy."""
        return self.toy("prompts_alike")

    @property
    def original_forms(self) -> tuple[Mapping[str, float], float]:
        """Cosines of features by what is mended in the original code, and how far neighbours move them; a toy."""
        return self.toy("original_forms")

    @property
    def encoder_bytes(self) -> int:
        """Bytes of the weights of ViT-B/16; a toy."""
        return self.toy("encoder_bytes")

    @cached_property
    def clip_cost(self) -> pd.DataFrame:
        """All cases of what fewer tokens cost, by part, without ratios."""
        return self.frame(clip_cost)

    @cached_property
    def pruned(self) -> pd.DataFrame:
        """The original code by the share of patches kept, with ratios to the unreduced tower."""
        rows = self._part(clip_cost.ORIGINAL)
        return known(rows[rows["variant"] != UNREDUCED], "latency_ratio", "memory_ratio", each={"keep": CLAIMED})

    @cached_property
    def pruned_growth(self) -> pd.DataFrame:
        """Slope of the original code's latency in the number of tokens."""
        return frames.slopes(self.pruned.assign(variant=ORIGINAL), over="tokens")

    @cached_property
    def clip_methods(self) -> pd.DataFrame:
        """All methods at one share of the operations, and half precision, with ratios to the unreduced tower."""
        rows = self._part(clip_cost.METHODS)
        return known(rows, "latency_ratio", each={"variant": (clip_cost.HALF_PRECISION,)})

    @cached_property
    def clip_overheads(self) -> pd.DataFrame:
        """All methods, with what the reduction itself costs and how far latency lies above operations."""
        return known(clip.overheads(self.clip_methods), "overhead", "excess", "flops_ratio")

    @cached_property
    def clip_resolution(self) -> pd.DataFrame:
        """Merging in rounds to a quarter of the tokens over resolutions, with ratios to the unreduced tower."""
        rows = self._part(clip_cost.RESOLUTION)
        return known(rows[rows["variant"] != UNREDUCED], "latency_ratio", "flops_ratio")

    @cached_property
    def clip_small(self) -> pd.DataFrame:
        """Ratios of small models to their unreduced tower, by task, variant and target; which checkpoint was timed."""
        rows = frames.ratios(known(frames.where(self.clip_cost, part=clip_cost.SMALL)), UNREDUCED, ("machine", "task"))
        rows = known(rows, "latency_ratio", "memory_ratio", each={"task": SMALL_CLIPS})
        return rows.set_index(["task", "variant", "target"])[SMALL]

    @cached_property
    def clip_outcomes(self) -> pd.DataFrame:
        """Accuracies of all variants and settings, a row per case and checkpoint."""
        rows = known(self.frame(clip_accuracy, *SMALL_CLIPS), "accuracy", each={"task": SMALL_CLIPS})
        return complete(rows, ["variant", "target"], "task")

    @cached_property
    def clip_summary(self) -> pd.DataFrame:
        """Means over checkpoints of every variant and setting, with intervals."""
        return clip.summary(self.clip_outcomes)

    @cached_property
    def clip_by_ratio(self) -> pd.DataFrame:
        """Of the summary, what was chosen by a share of the operations, with time and memory of a model of the task."""
        rows = self.clip_summary.dropna(subset="target")
        return rows.join(self.clip_small, on=["task", "variant", "target"])

    @cached_property
    def clip_at_operations(self) -> pd.DataFrame:
        """Merging in rounds against every other method at equal shares of the operations."""
        return clip_equal.at_equal(self._by_target, ROUNDS, "target", exactly=True)

    @cached_property
    def clip_at_time(self) -> pd.DataFrame:
        """Merging in rounds against every other method by measured time, where the one or the other takes no more.

        A method that no record of times knows is in none of the comparisons.
        """
        rows = self._by_target.join(self.clip_small, on=["task", "variant", "target"])
        times = rows.groupby(["task", "variant"])["latency_ratio"].transform("count")
        rows = rows[(times > 0) | rows["variant"].isin([ROUNDS, UNREDUCED])]
        return clip_equal.at_equal(rows, ROUNDS, "latency_ratio")

    @cached_property
    def clip_by_keep(self) -> pd.DataFrame:
        """Of the summary, what was chosen by a share of the patches, or of the class token's attention."""
        return self.clip_summary[self.clip_summary["target"].isna()]

    @cached_property
    def clip_trainings(self) -> pd.DataFrame:
        """Trainings of the small models, a row per task."""
        return self.frame(clip_training, *SMALL_CLIPS)

    @cached_property
    def reduced(self) -> pd.DataFrame:
        """Accuracies by the share of patches kept, a row per checkpoint; tasks as readers see them."""
        return _by_keep(self.clip_outcomes)

    @cached_property
    def reduced_accuracy(self) -> pd.DataFrame:
        """Differences of accuracy to the unreduced model, paired, by variant and share kept."""
        return accuracy.compared(self.reduced, UNREDUCED, KINDS)

    @cached_property
    def norm_against_random(self) -> pd.DataFrame:
        """Differences of accuracy of patches of large norm to random ones at the same share."""
        return _against(self.reduced, NORM, RANDOM)

    @cached_property
    def summary_against_norm(self) -> pd.DataFrame:
        """Differences of accuracy of the norm with a summary token to the norm without, at the same share."""
        return _against(self.reduced, SUMMARY, NORM)

    @cached_property
    def coded_features(self) -> pd.DataFrame:
        """Cosines of the original code's features, by task and share kept, a row per checkpoint."""
        return _coded(self.reduced)

    @cached_property
    def real_clip_reduced(self) -> pd.DataFrame:
        """As `reduced`, of CLIP's ViT-B/16 with its published weights; as all of `real_clip_*`."""
        names = [clip_accuracy.record_task(data, clip_accuracy.REAL) for data in REAL_DATA]
        return _by_keep(known(self.frame(clip_accuracy, *names), "accuracy", each={"variant": (UNREDUCED,)}))

    @cached_property
    def real_clip_accuracy(self) -> pd.DataFrame:
        """As `reduced_accuracy`."""
        return accuracy.compared(self.real_clip_reduced, UNREDUCED, KINDS)

    @cached_property
    def real_clip_norm_against_random(self) -> pd.DataFrame:
        """As `norm_against_random`."""
        return _against(self.real_clip_reduced, NORM, RANDOM)

    @cached_property
    def real_clip_summary_against_norm(self) -> pd.DataFrame:
        """As `summary_against_norm`."""
        return _against(self.real_clip_reduced, SUMMARY, NORM)

    @cached_property
    def real_clip_features(self) -> pd.DataFrame:
        """As `coded_features`."""
        return _coded(self.real_clip_reduced)

    @cached_property
    def real_clip_forms(self) -> Mapping[str, float]:
        """Cosines of the original code's features by its form, all patches kept: "as written", "mended", "swapped"."""
        found, forms = {}, {"as written": ORIGINAL, "mended": MENDED, "swapped": SWAPPED}
        rows = known(self.real_clip_reduced, each={"variant": forms.values()})
        for form, variant in forms.items():
            found[form] = float(known(frames.where(rows, variant=variant, keep=1.0), "cosine")["cosine"].mean())
        return found

    @cached_property
    def _by_target(self) -> pd.DataFrame:
        rows = self.clip_outcomes
        return rows[rows["target"].notna() | (rows["variant"] == UNREDUCED)]

    def _part(self, part: str) -> pd.DataFrame:
        rows = known(frames.where(self.clip_cost, part=part))
        return frames.ratios(rows, UNREDUCED, WITHIN)


def _by_keep(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows[rows["target"].isna()]
    return rows.assign(task=rows["task"].map(SMALL_CLIPS))


def _against(rows: pd.DataFrame, variant: str, other: str) -> pd.DataFrame:
    rows = known(rows[rows["variant"].isin([variant, other])], each={"variant": (variant, other)})
    return pd.concat(accuracy.compared(group, other, KINDS) for _, group in rows.groupby("keep", sort=False))


def _coded(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows[rows["variant"] == ORIGINAL]
    return known(rows, "cosine", each={"keep": (1.0, 0.5)})
