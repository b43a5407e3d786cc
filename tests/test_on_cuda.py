"""Every experiment and every chapter runs on a GPU, a pretended one; a fault that is planted is found."""

import matplotlib as mpl
import on_cuda
import pytest
import torch
from torch import nn

from lib.experiments import clip_outcomes, clip_pictures, lora_live
from lib.experiments.gpu.jobs import JOBS
from lib.models.clip import load as clip
from lib.models.clip.reduction import kind, reduce_tokens
from lib.models.clip.tokens import Tokens
from lib.models.ssm.mamba import MambaConfig, MambaLM
from lib.paths import BOOK
from lib.tasks import zero_shot
from lib.tasks.data.images import named
from lib.tasks.data.sequences import Task

slow = pytest.mark.slow
mpl.use("Agg")


@slow
@pytest.mark.parametrize("name", on_cuda.names())
def test_an_experiment_runs_on_a_gpu(name):
    made = on_cuda.ran(name)
    assert made.cases
    # Peers of the scan that are not there say so; nothing else fails.
    assert {case.error for case in made.cases if case.error and case.parameters["part"] != "absent"} == set()
    assert (made.environment.gpu == "a pretended GPU") == (made.parameters["device"] == "cuda")


def test_every_job_for_a_gpu_is_among_these():
    assert {job.module.rpartition(".")[2] for job in JOBS.values()} <= set(on_cuda.SMALL) == set(on_cuda.names())


@slow
@pytest.mark.parametrize("path", sorted(BOOK.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_chapter_runs_on_a_gpu(path):
    left = on_cuda.execute(path)
    assert left["p"].device == "cuda"


@slow
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_adapters_learn_in_half_precision_on_a_gpu(dtype):
    found = on_cuda.live_adapters(dtype=dtype)
    assert len(found) == len(lora_live.ROWS)


def small():
    return clip.load("clip-scenes-0", device="cuda"), named("scenes", 4, 0)


def outcomes():
    model, data = small()
    chosen = [("random", None, reduce_tokens(model.model.vision_model, "random", 0.5))]
    return list(clip_outcomes.outcomes(model, data, chosen))


def pictures():
    return clip_pictures.answered(*small(), 0.5)


def language():
    model = MambaLM(MambaConfig(vocabulary=5, dim=8, layers=1, states=2)).to("cuda")
    start = torch.zeros(1, 3, dtype=torch.long, device="cuda")
    return model.generate(start, 2, temperature=1.0, generator=torch.Generator("cuda"))


def judged():
    x, answers = torch.zeros(4, 3), torch.zeros(4, dtype=torch.long)
    task = Task("toy", "smooth", 3, 1, None, 2, "mean", lambda *_: (x, answers), (x, answers), endless=False)
    return task.accuracy(nn.Linear(3, 2).to("cuda"))


@torch.inference_mode()
def left_there(ours, data):
    """The classifier as it was once: its features stay on the device."""
    return ours.classifier(data.names, data.templates).float()


@torch.inference_mode()
def kept_there(ours, pixels):
    return ours.image_features(pixels)


def drawn_here(self, tokens, cut, attended):
    return self.best(tokens, cut, torch.rand(len(tokens), tokens.count))


def numbered_here(cls, x, classes, placed=True):
    return cls(x, x.new_ones(x.shape[:2]), torch.arange(classes, x.shape[1]).expand(len(x), -1), classes)


def not_moved(self, model, data=None, size=128):
    return (model(self.test[0]).argmax(-1) == self.test[1]).float().mean().item()


FAULTS = {  # what is planted -> where, what stands there then, what meets it
    "classes on the device": (zero_shot, "classifier", left_there, outcomes),
    "features on the device": (clip_outcomes, "features", kept_there, outcomes),
    "scores on the CPU": (kind("random"), "fewer", drawn_here, outcomes),
    "places on the CPU": (Tokens, "of", classmethod(numbered_here), pictures),
    "images on the device": (clip_pictures, "_shown", lambda x: x.to("cuda").numpy(), pictures),
    "a generator of the CPU": (torch, "Generator", lambda _: torch._C.Generator(), language),
    "sequences on the CPU": (Task, "accuracy", not_moved, judged),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault, monkeypatch):
    place, name, planted, meets = FAULTS[fault]
    with on_cuda.without_kernels():
        assert meets() is not None
        monkeypatch.setattr(place, name, planted)
        with pytest.raises((RuntimeError, TypeError, ValueError), match=r"device|cuda"):
            meets()
        monkeypatch.undo()
