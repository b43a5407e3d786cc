"""CLIP's visual tokens: what the chapter's text says of a pretrained vision transformer."""

from dataclasses import dataclass, field

from lib.experiments import clip_saliency
from lib.experiments.clip_saliency import MAPS, PROBED
from lib.experiments.clip_saliency_runs import GAUSSIAN
from lib.experiments.clip_variants import ROUNDS, TOME, UNREDUCED
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.frames.clip_saliency import difference, probed
from lib.report.frames.lora_pairs import Gap
from lib.report.views.base import named
from lib.report.views.files import naming_files

RECORDS = named(clip_saliency, clip_saliency.TASKS)
KEPT, LOST = 0.95, 0.02  # the bar at the first share: least correlation, most accuracy lost


@dataclass(frozen=True)
class At:
    """Merging in rounds at one share of the operations.

    correlation   of its maps with the unreduced model's; `lost` by the probe, as shares of the images, with an interval
    maps, answers   minus ToMe with a decreasing schedule: of correlations, and of the probe's accuracy
    closest       of the other methods than ToMe the one of the highest correlation
    """

    target: float
    correlation: float
    lost: float
    lost_low: float
    lost_high: float
    maps: Gap
    answers: Gap
    closest: str
    closest_correlation: float


@dataclass(frozen=True)
class Numbers:
    """All that the text on the pretrained model says.

    at            by share of the operations, most first
    gaussian      correlation of a centred Gaussian with the model's maps
    images, learned, held_back   that judge, that the probe is fitted on, and those of them that chose
    layer, layers   that the probe reads, and of how many; `right`, its accuracy there, `right_last` after the last
    kept, lost    the bar at the first share; `met`, whether merging in rounds meets it
    """

    at: list[At] = field(default_factory=list)
    gaussian: float = 0.0
    images: int = 0
    learned: int = 0
    held_back: int = 0
    layer: int = 0
    layers: int = 0
    right: float = 0.0
    right_last: float = 0.0
    kept: float = KEPT
    lost: float = LOST
    met: bool = False


def recorded(evidence: Evidence) -> bool:
    """Is it recorded?"""
    return evidence.has(clip_saliency, clip_saliency.TASKS)


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """What the text says of this evidence; without a record, that there is none."""
    if not recorded(evidence):
        return Numbers()
    rows, protocol = evidence.saliency, evidence.records(*RECORDS)[0].parameters
    found = [_at(evidence, target) for target in evidence.saliency_targets]
    whole, last = (probed(rows, UNREDUCED, 1.0, one) for one in (False, True))
    return Numbers(
        at=found,
        gaussian=frames.only(evidence.saliency_means, variant=GAUSSIAN)["correlation"],
        images=int(whole["images"]),
        learned=int(protocol["learned"]),
        held_back=int(protocol["held_back"]),
        layer=int(whole["layer"]),
        layers=int(last["layer"]),
        right=whole["accuracy"],
        right_last=last["accuracy"],
        met=bool(found[0].correlation >= KEPT and found[0].lost <= LOST),
    )


def _at(evidence: Evidence, target: float) -> At:
    here = frames.where(evidence.saliency_means, target=target)
    rounds = frames.only(here, variant=ROUNDS)
    others = here[~here["variant"].isin([ROUNDS, TOME])].sort_values("correlation")
    return At(
        target=target,
        **{name: rounds[name] for name in ("correlation", "lost", "lost_low", "lost_high")},
        maps=difference(evidence.saliency, ROUNDS, TOME, target, MAPS),
        answers=difference(evidence.saliency, ROUNDS, TOME, target, PROBED),
        closest=others["variant"].iloc[-1],
        closest_correlation=others["correlation"].iloc[-1],
    )
