"""What Mamba is used for: the next token, and one class per sequence."""

import pytest
import torch
from seeded_mambas import VOCABULARY, seeded, tokens
from torch.nn import functional as F
from torch.testing import assert_close

from lib.models.ssm.mamba import MambaClassifier, MambaLM


def test_greedy_generation_takes_the_likeliest_token_again_and_again(generator):
    model, x = seeded(MambaLM), tokens(generator)
    expected = x
    for _ in range(6):
        expected = torch.cat([expected, model(expected)[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(model.generate(x, 6), expected)
    assert torch.equal(model.generate(x, 0), x)


def test_sampling_follows_its_generator_and_its_temperature(generator):
    model, x = seeded(MambaLM), tokens(generator, batch=1, length=3)

    def sample(seed, temperature, batch=1):
        return model.generate(x.expand(batch, -1), 4, temperature, torch.Generator().manual_seed(seed))

    assert torch.equal(sample(1, 1.0), sample(1, 1.0))
    assert not torch.equal(sample(1, 1.0, batch=8), sample(2, 1.0, batch=8))
    assert torch.equal(sample(1, 1e-6), model.generate(x, 4))
    counts = sample(3, 1.0, batch=4000)[:, 3].bincount(minlength=VOCABULARY)
    assert_close(counts / 4000, model(x)[0, -1].softmax(-1), rtol=0, atol=0.03)


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("inputs", [None, 4])
def test_a_classifier_scores_classes_and_every_weight_learns(inputs, pooling, generator):
    vocabulary = VOCABULARY if inputs is None else None
    model = seeded(MambaClassifier, inputs, 3, vocabulary=vocabulary, head={"pooling": pooling})
    x = tokens(generator) if inputs is None else torch.randn(2, 9, inputs, generator=generator)
    scores = model(x)
    assert scores.shape == (2, 3)
    F.cross_entropy(scores, torch.tensor([0, 2])).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in model.parameters())


def test_pooling_takes_the_mean_or_the_last(generator):
    x = torch.randn(2, 9, 4, generator=generator, dtype=torch.float64)
    for pooling, pool in (("mean", lambda y: y.mean(1)), ("last", lambda y: y[:, -1])):
        model = seeded(MambaClassifier, 4, 3, vocabulary=None, head={"pooling": pooling}).double()
        assert_close(model(x), model.head(pool(model.backbone(model.project(x)))))
