"""Stems, the controls of tasks with one answer a sequence: by hand, and as a convolution."""

from dataclasses import replace

import pytest
import torch
from refusals import refused
from torch.nn import functional as F
from torch.testing import assert_close

from lib import names
from lib.models.mrss import variants as mrss
from lib.models.mrss.config import STEMS, MrssConfig
from lib.models.ssm.mamba import MambaConfig

SMALL = MambaConfig(dim=8, layers=2, states=4)
ROW = torch.tensor([[1.0, 2.0], [3.0, 5.0], [10.0, 20.0], [30.0, 50.0], [7.0, 7.0]])[None]
SHORTENED = {
    "patches": [[1.0, 2.0, 3.0, 5.0], [10.0, 20.0, 30.0, 50.0]],
    "strided": [[1.0, 2.0], [10.0, 20.0]],
    "pooled": [[2.0, 3.5], [20.0, 35.0]],
}
every = pytest.mark.parametrize("stem", names.STEMS)


def made(stem, sizes=SMALL, factor=4, inputs=3, **options):
    config = MrssConfig(sizes, stem, factor)
    return mrss.model(config, inputs, 5, **options, generator=torch.Generator().manual_seed(0))


@every
def test_a_stem_makes_one_token_of_two_and_leaves_the_tail_out(stem):
    found = STEMS[stem].shortened(ROW, 2)
    assert found[0].tolist() == SHORTENED[stem]
    assert found.shape[2] == STEMS[stem].features(2, 2)


def test_patches_and_the_map_that_follows_are_a_strided_convolution(generator):
    model, x = made("patches"), torch.randn(2, 22, 3, generator=generator)
    weight = model.classifier.project.weight.unflatten(1, (4, 3)).transpose(1, 2)
    expected = F.conv1d(x.mT, weight, model.classifier.project.bias, stride=4).mT
    assert_close(model.classifier.project(STEMS["patches"].shortened(x, 4)), expected)


@every
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_the_blocks_are_the_baselines_on_every_rth_of_the_length(stem, pooling, generator):
    model, x = made(stem, pooling=pooling), torch.randn(2, 22, 3, generator=generator)
    lengths = []
    model.classifier.backbone.layers[0]["mixer"].register_forward_hook(lambda _, inputs, out: lengths.append(out.shape))
    assert model(x).shape == (2, 5)
    assert lengths == [(2, 5, 8)]
    assert mrss.parameters(model.config) == mrss.parameters(MrssConfig(SMALL))
    assert mrss.matched(model.config) == model.config


@every
def test_every_weight_of_a_stems_model_learns(stem, generator):
    sizes = replace(SMALL, vocabulary=7)
    for model, x in (
        (made(stem), torch.randn(2, 22, 3, generator=generator)),
        (made(stem, sizes, inputs=None), torch.randint(7, (2, 22), generator=generator)),
    ):
        model(x).square().sum().backward()
        assert all(weight.grad.any() for name, weight in model.named_parameters() if name != "embedding.weight")
        assert stem == "strided" or all(weight.grad.any() for weight in model.parameters())


@pytest.mark.limit(
    "mrss",
    "A patch, strided or pooled stem where every token needs an answer",
    "After a stem there is one token for every r, and no way back to the others. Use a form such as low or hybrid.",
)
@every
def test_an_answer_at_every_token_is_refused(stem):
    with refused(
        f"pooling = 'none': mean, last is needed: after {stem!r}, there is one answer a sequence; one at every"
    ):
        made(stem, pooling="none")


@every
def test_what_a_stem_cannot_shorten_is_refused(stem):
    with refused("input of shape (2, 3, 3): (B, T, 3) with B >= 1 and T >= 4 is needed"):
        made(stem)(torch.zeros(2, 3, 3))
    with refused("inputs = None, vocabulary = None: exactly one of them is needed"):
        made(stem, inputs=None)
    with refused("tokens of shape (2, 3): (B, T) with B >= 1 and T >= 4 is needed"):
        made(stem, replace(SMALL, vocabulary=7), inputs=None)(torch.zeros(2, 3, dtype=torch.long))
    with refused("tokens 0 to 9 of torch.int64: integers from 0 to 6 are needed"):
        made(stem, replace(SMALL, vocabulary=7), inputs=None)(torch.arange(10)[None])
