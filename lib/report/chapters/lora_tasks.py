"""Low-rank adaptation: what came out on one task, as the chapter's text says it."""

from dataclasses import dataclass
from itertools import product

import pandas as pd

from lib.experiments.lora_cases import BOTTLENECK
from lib.experiments.lora_labels import FULL_LONGER, LADDER, LIKE, PLACED, SVD, USUAL_LONGER
from lib.experiments.lora_tokens import CONTROL, HALF, KEEPS, LESS, METHODS, variant
from lib.experiments.lora_training import FULL, USUAL
from lib.names import SMALL_CLIPS
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.frames.lora_pairs import Gap, all_below, gap, of, sorted_out
from lib.report.views.files import naming_files

ENOUGH = 0.97  # retained accuracy that counts as nearly all
LAST, CHOSEN, MERGED = METHODS  # the norm, the class token's choice, merging in rounds


@dataclass(frozen=True)
class Recovered:
    """A reduction at a share of tokens, by name: what adapters change.

    retained   accuracy with adapters relative to the checkpoint's with all tokens: the lower end of its interval
    gain       of retained accuracy, by the training
    whole      what the adapted model retains with all tokens again, minus all
    """

    name: str
    retained_low: float
    gain: Gap
    whole: Gap


@dataclass(frozen=True)
class OnTask:
    """What came out on one task. Differences are paired; those of labels are to full fine-tuning.

    own          lowest and highest accuracy of the checkpoints on the labels that they know
    gap          adapters of the usual rank on all linear layers, equal steps; `gap_later` after LONGER times so many
    ranks        by rank, after equal steps
    best_rank    that of the highest mean on the test images
    losses       training losses at the end: of the highest rank, and of the usual one
    placed       by place
    start        the start from singular values minus the start from zero
    bottleneck   of the original report's form, and `form` of LoRA in the same layers minus it
    control      retained with all tokens after a training with all tokens, minus all
    recovered    by variant
    last         whether with half of the tokens and adapters the norm is below both others, by whole intervals
    alone        merging to three tenths without training, minus the class token's choice of half with adapters
    seconds, seconds_later   trainings of adapters relative to full fine-tuning's, not timed in turns
    """

    name: str
    own: tuple[float, float]
    gap: Gap
    gap_later: Gap
    ranks: dict[int, Gap]
    best_rank: int
    losses: tuple[float, float]
    placed: dict[str, Gap]
    start: Gap
    bottleneck: Gap
    form: Gap
    control: Gap
    recovered: dict[str, Recovered]
    last: bool
    alone: Gap
    seconds: float
    seconds_later: float

    @property
    def half(self) -> Gap:
        """What adapters gain where the class token chooses half of the tokens."""
        return self.recovered[variant(CHOSEN, HALF)].gain

    @property
    def by_rank(self) -> dict[str, list]:
        """Ranks above and below full fine-tuning, and those that are undecided."""
        return sorted_out(self.ranks)

    @property
    def by_place(self) -> dict[str, list]:
        """Places likewise."""
        return sorted_out(self.placed)

    @property
    def by_gain(self) -> dict[str, list]:
        """Reductions whose retained accuracy the training raises, lowers, or neither."""
        return sorted_out({one.name: one.gain for one in self.recovered.values()})

    @property
    def harmed(self) -> list[str]:
        """Reductions whose adapters lower the accuracy with all tokens."""
        return [one.name for one in self.recovered.values() if one.whole.word == "below"]

    @property
    def enough(self) -> list[str]:
        """Reductions to half of the tokens with which, by the whole interval, nearly all accuracy is retained."""
        half = [self.recovered[variant(method, HALF)] for method in METHODS]
        return [one.name for one in half if one.retained_low >= ENOUGH]


@naming_files
def on_task(evidence: Evidence, task: str) -> OnTask:
    """All comparisons of one task; raises Missing where a training is."""
    rows, fewer = (frames.where(one, task=task) for one in (evidence.adapted, evidence.recovered))
    means = frames.where(evidence.adapted_means, task=task)
    to_full = frames.where(evidence.against_full_tuning, task=task).set_index("variant")
    losses = frames.where(evidence.adapted_losses, task=task).set_index("variant")["loss"]
    ranked = means[means["variant"].isin(LADDER)]
    seconds = evidence.adapting_seconds.loc[task]
    return OnTask(
        name=SMALL_CLIPS[task],
        own=evidence.own_accuracies[task],
        gap=of(to_full.loc[USUAL]),
        gap_later=_labels(rows, USUAL_LONGER, FULL_LONGER),
        ranks={rank: of(to_full.loc[name]) for name, rank in LADDER.items()},
        best_rank=int(ranked.loc[ranked["accuracy"].idxmax(), "rank"]),
        losses=(losses[list(LADDER)[-1]], losses[USUAL]),
        placed={name: of(to_full.loc[name]) for name in (USUAL, *PLACED) if name != SVD},
        start=_labels(rows, SVD, USUAL),
        bottleneck=of(to_full.loc[BOTTLENECK]),
        form=_labels(rows, LIKE, BOTTLENECK),
        control=gap(fewer, (CONTROL, "retained")),
        recovered={variant(*one): _recovered(evidence, task, *one) for one in product(METHODS, KEEPS)},
        last=all_below(
            gap(fewer, (variant(LAST, HALF), "retained"), (variant(one, HALF), "retained")) for one in METHODS[1:]
        ),
        alone=gap(fewer, (variant(MERGED, LESS), "before"), (variant(CHOSEN, HALF), "retained")),
        seconds=seconds[USUAL] / seconds[FULL],
        seconds_later=seconds[USUAL_LONGER] / seconds[FULL_LONGER],
    )


@naming_files
def _recovered(evidence: Evidence, task: str, method: str, keep: float) -> Recovered:
    rows, name = frames.where(evidence.recovered, task=task), variant(method, keep)
    return Recovered(
        f"{method.replace('_', ' ')} at {keep}",
        frames.only(evidence.recovered_means, task=task, variant=name)["retained_low"],
        gap(rows, (name, "retained"), (name, "before")),
        gap(rows, (name, "kept")),
    )


def _labels(rows: pd.DataFrame, first: str, second: str) -> Gap:
    return gap(rows, (first, "accuracy"), (second, "accuracy"))
