"""Originals: found again in their files with the test set that they were judged by, committed ones too."""

import pytest
import torch
from safetensors.torch import save_file

from lib.experiments import distill_models
from lib.experiments.distill_models import Plan
from lib.models.ssm.s4d import S4D
from lib.paths import CHECKPOINTS

PLAN = Plan("digits", seed=0, states=8, orders=(2,), steps=2, healing=1, width=8, layers=2)


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch, tmp_path):
    monkeypatch.setattr(distill_models, "SWEEPS", tmp_path)


def test_an_original_is_found_again_with_its_test_set():
    made, task = distill_models.original(PLAN)
    distill_models.keep(made, PLAN)
    model, again = distill_models.load(PLAN.weights)
    assert again.accuracy(model) == task.accuracy(made)
    assert [layer.C.shape[:2] for layer in model.modules() if isinstance(layer, S4D)] == [(8, 4), (8, 4)]


def test_a_committed_original_is_of_the_sizes_of_its_record():
    model, task = distill_models.load(CHECKPOINTS / "s4d_digits.safetensors")
    sizes = [layer.C.shape[:2] for layer in model.modules() if isinstance(layer, S4D)]
    assert sizes == [(distill_models.SIZES.dim, distill_models.STATES // 2)] * distill_models.SIZES.layers
    assert task.length == 256


def test_numbers_that_stand_for_kernels_are_counted_by_modes():
    model, _ = distill_models.original(PLAN)
    assert distill_models.stored(model) == 2 * 8 * 4 * 4  # four modes of a decay and a weight, complex both


def test_a_file_of_another_kind_is_named(tmp_path):
    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other.safetensors: not a model of ours, its header lacks task, seed"):
        distill_models.load(tmp_path / "other.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"junk.safetensors: not readable as safetensors"):
        distill_models.load(tmp_path / "junk.safetensors")
    with pytest.raises(FileNotFoundError):
        distill_models.load(tmp_path / "none.safetensors")


def test_the_loudest_kernel_is_the_one_of_largest_norm_and_more_states_err_less():
    layer = S4D(4, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        layer.C[2] *= 1000
    kernel, forms = distill_models.loudest(layer, "modal", (8, 2, 8), length=32)
    assert torch.equal(torch.from_numpy(kernel), layer.kernel(32).detach()[2])
    assert list(forms) == [2, 8]
    assert 0 < forms[8][1] < forms[2][1] < 1
    lost = ((forms[2][0] - kernel) ** 2).sum() ** 0.5 / (kernel**2).sum() ** 0.5
    assert lost == pytest.approx(forms[2][1], rel=1e-4)
