"""The convolutional reference: causal, of the size that it says, and seeded."""

import pytest
import torch
from torch.testing import assert_close

from lib.models.mrss.cnn import SPREAD, TAPS, CausalBlock, CausalCnn


def test_no_token_sees_a_later_one(generator):
    model = CausalCnn(3, None, 4, pooling="none", dim=8, generator=generator).double()
    x = torch.randn(2, 40, 3, generator=generator, dtype=torch.float64)
    changed = x.clone()
    changed[:, 25:] += 1
    assert_close(model(x)[:, :25], model(changed)[:, :25], rtol=0, atol=0)
    assert (model(x)[:, 25:] != model(changed)[:, 25:]).any(-1).all()


def test_a_window_has_as_many_tokens_as_it_says(generator):
    blocks = 3
    reach = sum(SPREAD**k * (TAPS - 1) for k in range(blocks))
    model = CausalCnn(1, None, 1, pooling="none", dim=8, blocks=blocks, generator=generator).double()
    x = torch.randn(1, reach + 2, 1, generator=generator, dtype=torch.float64, requires_grad=True)
    model(x)[0, -1].sum().backward()
    assert x.grad[0, 0].abs() == 0
    assert (x.grad[0, 1:].abs() > 0).sum() > reach // 2
    assert 1 + sum(SPREAD**k * (TAPS - 1) for k in range(5)) == 1365


def test_a_block_is_the_convolution_written_out(generator):
    block = CausalBlock(2, 3, generator=generator).double()
    x = torch.randn(1, 20, 2, generator=generator, dtype=torch.float64)
    normed = x / (x.square().mean(-1, keepdim=True) + torch.finfo(torch.float64).eps).sqrt()
    summed = block.convolution.bias.clone()
    for tap in range(TAPS):
        summed = summed + block.convolution.weight[:, :, tap] @ normed[0, 19 - 3 * (TAPS - 1 - tap)]
    expected = x[0, 19] + block.mix(torch.nn.functional.gelu(summed))
    assert_close(block(x)[0, 19], expected)


def test_it_has_the_parameters_of_the_mamba_beside_it(generator):
    for sizes in ((12, None, 10), (None, 68, 68), (1, None, 16)):
        count = sum(weight.numel() for weight in CausalCnn(*sizes).parameters())
        assert abs(count / 130_560 - 1) < 0.06


def test_a_generator_decides_the_weights():
    one, two, other = (CausalCnn(1, None, 2, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.head.weight, other.head.weight)


def test_one_answer_is_that_of_the_mean(generator):
    each = CausalCnn(None, 5, 3, pooling="none", dim=8, generator=torch.Generator().manual_seed(0))
    whole = CausalCnn(None, 5, 3, pooling="mean", dim=8, generator=torch.Generator().manual_seed(0))
    x = torch.randint(5, (2, 30), generator=generator)
    assert_close(whole(x), each(x).mean(1))  # the head is linear


@pytest.mark.parametrize(
    ("sizes", "options", "said"),
    [
        ((1, 2, 3), {}, "inputs = 1, vocabulary = 2: exactly one of them is needed"),
        ((1, None, 0), {}, "classes = 0: "),
        ((1, None, 2), {"pooling": "last"}, "pooling = 'last': one of mean, none is needed"),
        ((1, None, 2), {"dim": 0}, "dim = 0: "),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, options, said):
    with pytest.raises(ValueError, match=said):
        CausalCnn(*sizes, **options)


def test_input_that_does_not_fit_is_refused(generator):
    with pytest.raises(ValueError, match=r"input of shape \(1, 4, 2\)"):
        CausalCnn(3, None, 2)(torch.zeros(1, 4, 2))
    with pytest.raises(ValueError, match="tokens 7 to 7"):
        CausalCnn(None, 5, 2)(torch.full((1, 4), 7))
