"""Mixers of equal width: shape kept, no look ahead, and costs counted where a counter cannot see."""

from math import log2

import pytest
import torch
from precision import SINGLE, assert_within
from refusals import refused
from torch.testing import assert_close

from lib.models.mrss import variants as mrss
from lib.models.mrss.variants import MrssConfig
from lib.models.ssm import mixers, scan
from lib.models.ssm.fft_convolution import causal_convolution
from lib.models.ssm.mamba import MambaConfig
from lib.profilers.flops import flops


@pytest.fixture
def family(generator):
    return mixers.family(64, 4, "cpu", generator=generator)


def test_the_family_holds_every_backend_of_this_machine(family):
    assert list(family) == ["attention", "S4D", "scan, cpp", "scan, torch", "scan, ref"]


def test_every_mixer_keeps_the_shape_and_sees_no_future(family, generator):
    x = torch.randn(2, 20, 64, generator=generator)
    later = x.clone()
    later[:, 12:] += 1
    for name, mixer in family.items():
        assert mixer(x).shape == x.shape, name
        if name.startswith("scan"):
            assert torch.equal(mixer(x)[:, :12], mixer(later)[:, :12]), name
        else:
            assert_close(mixer.double()(x.double())[:, :12], mixer(later.double())[:, :12])


def test_all_backends_compute_the_same(family, generator):
    x = torch.randn(2, 40, 64, generator=generator)
    found = {name: family[name](x) for name in ("scan, cpp", "scan, torch", "scan, ref")}
    exact = family["scan, ref"].double()(x.double())
    for out in found.values():
        assert_within(out, exact, SINGLE)


def test_a_closed_gate_lets_nothing_in(generator):
    x = torch.rand(1, 30, 8, generator=generator)
    assert mixers.Scan(8, 4, bias=-50.0)(x).abs().max() < 1e-12 < mixers.Scan(8, 4)(x).abs().max()


@pytest.mark.parametrize(("dim", "heads"), [(128, 2), (48, 1), (100, 1)])
def test_attention_counts_what_equation_six_says(dim, heads, generator):
    x = torch.randn(2, 50, dim, generator=generator)
    assert flops(lambda: mixers.Attention()(x)) == 4 * 2 * 50**2 * dim


@pytest.mark.parametrize("batch", [1, 3])
def test_a_convolution_counts_what_equation_six_says(batch, generator):
    x, kernel = torch.randn(batch, 256, 8, generator=generator), torch.randn(8, 256, generator=generator)
    assert flops(lambda: causal_convolution(x, kernel)) == 5 * (2 * batch + 1) * 256 * 8 * log2(2 * 256)


@pytest.mark.parametrize("backend", ["auto", "torch", "ref"])
def test_a_scan_is_counted_once_by_whichever_backend(backend, generator):
    x = torch.randn(1, 10, 8, generator=generator)
    model = mixers.Scan(8, 4, backend)
    assert flops(lambda: model(x)) + mixers.uncounted(model, x) == scan.flops(1, 10, 8, 4)
    assert mixers.uncounted(mixers.Attention(), x) == 0


def test_the_scans_of_a_model_count_for_the_tokens_that_they_see(generator):
    model = mrss.model(MrssConfig(MambaConfig(dim=8, layers=2, states=4), "hybrid", 4), 3, 5, generator=generator)
    x = torch.randn(2, 21, 3, generator=generator)
    without = {torch.ops.ssm.selective_scan: lambda *_, **__: 0}
    counted = flops(lambda: model(x)) - flops(lambda: model(x), formulas=without)
    assert counted == scan.flops(2, 21, 16, 4) + scan.flops(2, 5, 16, 4)


def test_more_states_than_channels_are_refused():
    with pytest.raises(ValueError, match=r"states = 9.*from 1 to 8"):
        mixers.Scan(8, 9)


@pytest.mark.parametrize("shape", [(5, 64), (2, 5), (2, 3, 5, 64), (2, 0, 64)])
def test_an_input_of_other_axes_is_quoted(shape):
    with refused(f"input of shape {shape}: (B, T, D) with B >= 1 and T >= 1 and D >= 1 is needed"):
        mixers.Attention()(torch.zeros(shape))
    with refused(f"input of shape {shape}: (B, T, 64) with B >= 1 and T >= 1 is needed"):
        mixers.Scan(64, 4)(torch.zeros(shape))
