"""Evidence on low-rank adaptation: what adapters cost, what they learn of new labels, what they recover of accuracy."""

from collections.abc import Mapping
from functools import cached_property
from types import ModuleType
from typing import Any

import pandas as pd

from lib.experiments import lora_cost, lora_labels, lora_tokens
from lib.experiments.lora_cases import BOTTLENECK
from lib.experiments.lora_training import FULL, USUAL
from lib.names import SMALL_CLIPS
from lib.report import accuracy, frames
from lib.report.frames import lora
from lib.report.views.base import Base, complete, known, named

COMPARED = {USUAL: "LoRA", BOTTLENECK: "bottleneck"}  # variants that claims are judged by


class Views(Base):
    """Frames of the records on low-rank adaptation, and toys, by name."""

    @property
    def starts(self) -> Mapping[str, float]:
        """Accuracy before the first step: "unreduced", "LoRA", "bottleneck", and of "chance"; a toy."""
        return self.toy("starts")

    @property
    def weights_of_a_projection(self) -> Mapping[str, int]:
        """Beside one square projection: "counted", numbers that learn, and "claimed", 2 d r; a toy."""
        return self.toy("weights_of_a_projection")

    @cached_property
    def adapter_settings(self) -> Mapping[str, Any]:
        """Parameters of the record on costs, such as the name of the timed model."""
        return self.records(lora_cost.NAME)[0].parameters

    @cached_property
    def adapter_cases(self) -> pd.DataFrame:
        """Cases of what adapters cost: parts step, deployed and small."""
        return self.frame(lora_cost)

    @cached_property
    def adapter_steps(self) -> pd.DataFrame:
        """Training steps by what learns, with ratios to full fine-tuning."""
        rows = known(lora.costs(self.adapter_cases, lora_cost.STEP))
        return known(rows, "latency_ratio", "memory_ratio", each={"variant": (FULL, USUAL)})

    @cached_property
    def adapter_forward(self) -> pd.DataFrame:
        """The forward pass of images with adapters apart, and merged, with ratios to the original model."""
        rows = known(lora.costs(self.adapter_cases, lora_cost.DEPLOYED))
        return known(rows, "latency_ratio", each={"variant": (lora_cost.APART, lora_cost.MERGED)})

    @cached_property
    def adapter_towers(self) -> pd.DataFrame:
        """The small tower with fewer tokens, with ratios to the unreduced one."""
        rows = known(lora.costs(self.adapter_cases, lora_cost.SMALL))
        return known(rows, "latency_ratio", each={"variant": lora_tokens.VARIANTS})

    @cached_property
    def adapting_cost(self) -> pd.DataFrame:
        """The training step with adapters on all linear layers, with ratios to full fine-tuning."""
        return known(frames.where(self.adapter_steps, variant=USUAL), "memory_ratio", "trainable", "total")

    @property
    def adapter_sources(self) -> str:
        """Machine, day and commit of the record on costs, for a caption."""
        return self.sources(lora_cost.NAME)

    @property
    def adapted_sources(self) -> str:
        """The same of the trainings on new labels."""
        return self.sources(*named(lora_labels, SMALL_CLIPS))

    @property
    def recovered_sources(self) -> str:
        """The same of the trainings with fewer tokens."""
        return self.sources(*named(lora_tokens, SMALL_CLIPS))

    @cached_property
    def adapted(self) -> pd.DataFrame:
        """Trainings on new labels, a row each."""
        return self._trainings(lora_labels)

    @cached_property
    def adapted_means(self) -> pd.DataFrame:
        """Accuracy on new labels by task and variant, mean and interval; seeds that share a checkpoint count as one."""
        return lora.summary(self.adapted, ["accuracy"])

    @cached_property
    def against_full_tuning(self) -> pd.DataFrame:
        """Accuracy on new labels minus full fine-tuning's, paired by seed, by task and variant."""
        return accuracy.compared(self.adapted, FULL, ("variant",))

    @cached_property
    def alignment(self) -> pd.DataFrame:
        """The same of "LoRA" and of the original report's "bottleneck"; tasks as readers see them."""
        rows = self.against_full_tuning
        rows = rows.assign(variant=rows["variant"].replace(COMPARED), task=rows["task"].map(SMALL_CLIPS))
        return known(rows, "difference_low", "difference_high", each={"variant": COMPARED.values()})

    @cached_property
    def shares_that_learn(self) -> Mapping[str, float]:
        """ "LoRA" and "bottleneck" -> share of the weights that learn."""
        shares = self.adapted.drop_duplicates("variant").set_index("variant")["share"]
        return {name: shares[variant] for variant, name in COMPARED.items()}

    @cached_property
    def adapted_losses(self) -> pd.DataFrame:
        """Training loss on new labels at the end: task, variant, loss."""
        return lora_labels.last_losses(self.records(*named(lora_labels, SMALL_CLIPS)))

    @cached_property
    def recovered(self) -> pd.DataFrame:
        """Trainings with fewer tokens, a row each."""
        return self._trainings(lora_tokens)

    @cached_property
    def recovered_means(self) -> pd.DataFrame:
        """Accuracy relative to the checkpoint's with fewer tokens, by task and variant, with intervals likewise."""
        return lora.summary(self.recovered, ["accuracy", "before", "retained", "regained", "kept"])

    @cached_property
    def own_accuracies(self) -> Mapping[str, tuple[float, float]]:
        """Task -> lowest and highest accuracy of its checkpoints as they were, with all tokens, on their own labels."""
        found = self.recovered.groupby("task", sort=False)["whole"].agg(["min", "max"])
        return {task: (low, high) for task, low, high in found.itertuples()}

    @cached_property
    def adapting_seconds(self) -> pd.DataFrame:
        """Median seconds of trainings on new labels, each on one thread: a row per task, a column per variant."""
        rows = self.frame(lora_labels, *SMALL_CLIPS)
        rows = known(frames.where(rows, measured="accuracy"), "seconds")
        return complete(rows, "variant", "task").pivot(index="task", columns="variant", values="seconds")

    @cached_property
    def adapting_minutes(self) -> float:
        """Minutes that all trainings took together, each on one thread."""
        return sum(accuracy.training_minutes(self.frame(one, *SMALL_CLIPS)) for one in (lora_labels, lora_tokens))

    def _trainings(self, experiment: ModuleType) -> pd.DataFrame:
        rows = experiment.outcomes(self.records(*named(experiment, SMALL_CLIPS)))
        known(rows, each={"task": SMALL_CLIPS})
        for task in SMALL_CLIPS:
            known(frames.where(rows, task=task), "accuracy", each={"variant": experiment.VARIANTS})
        return rows
