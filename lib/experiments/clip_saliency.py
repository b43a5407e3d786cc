"""Token reductions on a pretrained ViT-S/14 that pip installs: its saliency maps, and a probe on its features.

The model was fine-tuned for saliency (see `lib.models.clip.vit`). Each reduction is judged on the same test images, at
equal shares of the operations: by the correlation of its map with the unreduced model's, image by image; and by a ridge
classifier that was fitted on features of the unreduced model, its layer and penalty chosen on images held back.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from lib.experiments import base, clip_accuracy, command
from lib.experiments.clip_outcomes import packed
from lib.experiments.clip_saliency_runs import Chunk, Probe, fitted, looked, model_at, unpacked
from lib.models.checks import check_choice, check_count
from lib.models.clip import vit
from lib.paths import SWEEPS
from lib.records import Record
from lib.tasks.data import images
from lib.tasks.training.sweep import sweep

NAME = "clip_saliency_{task}"
CHAPTER = "clip_vtp"
TASKS = ("cifar10",)
MAPS, PROBED, TRIED = "maps", "probed", "tried"
AT = ("images", "target", "ratio")
PARTS = {MAPS: AT, PROBED: (*AT, "layer", "last"), TRIED: ("images", "layer", "strength")}
RIDGE = "ridge classifier"
TARGETS = (0.5, 0.35)  # of the unreduced tower's operations
HELD_BACK = 5  # one in so many of the images to learn from
CHUNK = 50  # images that are kept at once


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is judged.

    task     of TASKS: the images
    path     of an ONNX graph of the layout that `lib.models.clip.vit` reads; that of the installed package, if empty
    source   of CIFAR-10: a name of the hub, or a folder
    learned  images that the probe is fitted on
    count    test images
    device   of the model's passes: on a CPU several at once, each on a core
    """

    task: str = TASKS[0]
    path: str = ""
    source: str = images.CIFAR10
    learned: int = 5000
    count: int = 1000


def run(settings: Settings, folder: Path = SWEEPS) -> Record:
    """Fit the probe, then judge every reduction; what is finished is kept, and resumed after an interruption.

    folder   of results that are finished
    raises   ModuleNotFoundError, with the command that helps, without the package; FileNotFoundError where CIFAR-10,
             or the graph, is not there; ValueError for a graph of another layout, and for too few images to hold some
             back
    """
    check_choice("task", settings.task, TASKS)
    check_count("learned", settings.learned, HELD_BACK)
    path = str(model_at(settings.path))
    vit.load(path)  # what is no such graph is refused before images are read
    learned = images.cifar10("train", settings.source).first(settings.learned)
    tested = images.cifar10("test", settings.source).first(settings.count)
    at = {"task": settings.task, "path": path, "source": settings.source, "device": settings.device}
    options = {"workers": None if settings.device == "cpu" else 1}
    seen = sweep(_chunks("train", len(learned), at), looked, folder, **options)
    features, held_back = unpacked(one for (one,) in seen.values()), len(learned) // HELD_BACK
    probe, tried = fitted(features, learned.classes, held_back)
    highest = max(features)
    last, _ = fitted({highest: features[highest]}, learned.classes, held_back)
    cases = base.Cases(PARTS)
    for (layer, strength), accuracy in tried.items():
        measured = {"accuracies": {0: accuracy}}
        cases.add(TRIED, RIDGE, measured=measured, images=held_back, layer=layer, strength=strength)
    seen = sweep(_chunks("test", len(tested), {**at, "targets": TARGETS}), looked, folder, **options)
    for parts in zip(*seen.values(), strict=True):
        _add(cases, list(parts), tested, probe, last)
    # Not where the images or the graph lie here.
    where = replace(settings, source=Path(settings.source).name, path=Path(path).name)
    said = {"layer": probe.layer, "strength": probe.strength, "held_back": held_back}
    return base.record(NAME.format(task=settings.task), cases, where, **said)


def _chunks(split: str, count: int, at: dict) -> list[Chunk]:
    return [Chunk(split=split, start=start, stop=min(count, start + CHUNK), **at) for start in range(0, count, CHUNK)]


def _add(cases: base.Cases, parts: list[dict], tested: images.Images, probe: Probe, last: Probe) -> None:
    """The cases of one reduction, from its outcomes on all chunks."""
    name, target, ratio = (parts[0][key] for key in ("variant", "target", "ratio"))
    at = {"images": len(tested), "target": target, "ratio": ratio}
    maps = [value for one in parts for value in one["correlations"]]
    cases.add(MAPS, name, measured={"correlations": {0: maps}}, **at)
    features = unpacked(parts)
    for one, is_last in ((probe, False), (last, True)) if features else ():
        right = one.answers(features[one.layer]) == tested.classes
        measured = {"accuracies": {0: right.float().mean().item()}, "right": {0: packed(right)}}
        cases.add(PROBED, name, measured=measured, layer=one.layer, last=is_last, **at)


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case: machine, part, variant, target, ratio; `correlations` and `hits` of each image, and means."""
    rows = base.by_seed(found, PARTS, accuracies="accuracy", correlations="correlations", right="right")
    if rows.empty:
        return rows
    hits = [
        clip_accuracy.unpacked(row.right, int(row.images)) if isinstance(row.right, str) else None
        for row in rows.itertuples()
    ]
    means = [sum(one) / len(one) if isinstance(one, list) else None for one in rows["correlations"]]
    return rows.drop(columns=["right", "seed"]).assign(hits=hits, correlation=pd.Series(means, dtype=float))


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, lambda found: frame(found).drop(columns=["correlations", "hits"]))


if __name__ == "__main__":
    main()
