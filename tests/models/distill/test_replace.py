"""Distilling a model: a copy with other layers that still streams; the model itself stays as it is."""

import copy

import pytest
import torch
from banks import layer, normal, relative
from mrss_mixers import streamed
from refusals import refused
from torch import nn
from torch.testing import assert_close

from lib.models.distill.modes import Modes
from lib.models.distill.recurrence import Recurrence
from lib.models.distill.replace import METHODS, deployed, distill
from lib.models.ssm.mamba import MambaClassifier, MambaConfig
from lib.models.ssm.s4d import S4D
from lib.models.ssm.s4d_block import S4DBlock

every_method = pytest.mark.parametrize("method", METHODS)


def classifier(used=None) -> MambaClassifier:
    """Two S4D blocks of 8 pairs each, of which only those `used` reach the output."""
    generator = torch.Generator().manual_seed(0)
    mixers = [S4DBlock(6, states=16, generator=generator) for _ in range(2)]
    for seed, mixer in enumerate(mixers):
        mixer.s4d = layer(dim=6, used=used, seed=seed)
    config = MambaConfig(dim=6, layers=2)
    return MambaClassifier(config, 3, 5, pooling="none", mixers=mixers, generator=generator).double()


@every_method
def test_every_layer_is_replaced_in_a_copy(method):
    model = classifier()
    before = copy.deepcopy(model.state_dict())
    student, results = distill(model, 4, method, length=50)
    assert not [layer for layer in student.modules() if isinstance(layer, S4D)]
    assert [block["mixer"].s4d for block in student.backbone.layers] == [result.module for result in results]
    assert all(result.method == method for result in results)
    assert sum(isinstance(layer, S4D) for layer in model.modules()) == 2
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    shared = {weight.data_ptr() for weight in model.parameters()}
    assert not shared & {weight.data_ptr() for weight in student.parameters()}


@pytest.mark.parametrize("method", ["modal", "balanced_truncation"])
def test_a_model_of_few_modes_is_found_again_and_streams(method):
    model, x = classifier(used=(1, 4)), normal(2, 40, 3)
    student, results = distill(model, 4, method, length=200)
    assert max(result.error.max() for result in results) < 1e-6
    assert_close(student(x), model(x), rtol=1e-6, atol=1e-6)
    assert_close(streamed(student, x), student(x))


@every_method
def test_what_is_deployed_answers_alike(method):
    student, x = distill(classifier(), 4, method, length=50)[0], normal(2, 40, 3)
    if method == "structured_sparse":
        with pytest.raises(ValueError, match="MambaClassifier without S4D, modes or low rank"):
            deployed(student, 40)
        return
    fast = deployed(student, 40)
    with torch.inference_mode():
        assert_close(fast(x), student(x))
        if method in ("modal", "balanced_truncation"):
            assert_close(streamed(fast, x), student(x))
            assert sum(isinstance(layer, Recurrence) for layer in fast.modules()) == 2
    assert not fast.training
    assert student.training


def test_an_original_is_deployed_with_its_kernels_cached():
    model, x = classifier(), normal(2, 40, 3)
    with torch.inference_mode():
        assert_close(streamed(deployed(model, 40), x), model(x))
        assert_close(deployed(model, 40)(x), model(x))
    with pytest.raises(ValueError, match="length = 0: an integer from 1 to 4194304 is needed"):
        deployed(model, 0)


@every_method
def test_a_distilled_model_learns(method):
    student, _ = distill(classifier(), 4, method, length=50)
    student(normal(2, 40, 3)).square().sum().backward()
    assert all(weight.grad.isfinite().all() for weight in student.parameters())


def test_a_layer_alone_is_distilled_too():
    model = layer()
    student, (result,) = distill(model, 16, length=100)
    assert student is result.module
    assert relative(student.kernel(100), model.kernel(100)) < 1e-9


def test_a_layer_that_is_used_twice_stays_one():
    shared = layer()
    student, results = distill(nn.Sequential(shared, nn.ReLU(), shared), 4, length=50)
    assert len(results) == 1
    assert student[0] is student[2] is results[0].module


def test_healing_gets_the_copy_and_the_model():
    model, seen = classifier(), []
    student, _ = distill(model, 4, length=50, heal=lambda *models: seen.append(models))
    assert seen == [(student, model)]
    assert isinstance(student.backbone.layers[0]["mixer"].s4d, Modes)


@pytest.mark.parametrize("training", [True, False])
def test_the_copy_is_in_the_models_mode(training):
    student, _ = distill(classifier().train(training), 4, length=50)
    assert {module.training for module in student.modules()} == {training}


@pytest.mark.parametrize(
    ("model", "order", "options", "message"),
    [
        (layer(), 4, {"method": "svd"}, "method = 'svd': one of modal, balanced_truncation, balanced_refit"),
        (nn.Linear(2, 2), 4, {}, "a Linear without S4D and S5: there is nothing to distill"),
        (layer(), 40, {}, "order = 40: an integer from 2 to 16 is needed"),
        (layer(), 4, {"length": 0}, "length = 0: an integer from 1 to 4194304 is needed"),
    ],
)
def test_what_cannot_be_done_is_quoted(model, order, options, message):
    with refused(message):
        distill(model, order, **options)


def test_what_is_no_layer_is_named():
    with refused("layer is of type Tensor: a S4D is needed", TypeError):
        METHODS["modal"](normal(3, 20), 2)
    with refused("kernel is of type NoneType: a tensor is needed", TypeError):
        METHODS["truncated_svd"](None, 2)
