"""The scale mixer against filters written out and one scan after another, in float64."""

from itertools import pairwise

import pytest
import torch
from mrss_mixers import mixer, sequence
from refusals import refused
from torch.nn import functional as F
from torch.testing import assert_close

from lib.models.mrss.scale_mixer import ScaleMixer
from lib.models.ssm.mamba import MambaConfig
from lib.models.ssm.scan import selective_scan_fn


def scales(module, signal):
    """Signals (B, T, E) of all scales, the finest first: every output of a filter is a sum over its taps."""
    found = []
    for level, taps in enumerate(module.taps):
        low, high = torch.zeros_like(signal), torch.zeros_like(signal)
        count = taps.shape[1]
        for t in range(signal.shape[1]):
            for k in range(count):
                before = t - (count - 1 - k) * 2**level
                if before >= 0:
                    low[:, t] += taps[0, k] * signal[:, before]
                    high[:, t] += taps[1, k] * signal[:, before]
        found.append(high)
        signal = low
    return [*found, signal]


@pytest.mark.parametrize(("factor", "count"), [(2, 2), (4, 3), (5, 4), (8, 4)])
@torch.no_grad()
def test_the_form_is_a_scan_per_scale_mixed_by_the_input(factor, count):
    module, x = mixer("scale_mixer", factor, 4, 3), sequence(21, 4, 1)
    signal, gate = module.in_proj(x).chunk(2, dim=-1)
    shares = module.mix(x).softmax(-1)
    found, channels = scales(module, signal), module.config.channels
    assert (len(found), shares.shape[-1]) == (count, count)
    y = 0
    for i, u in enumerate(map(F.silu, found)):
        own = slice(i * channels, (i + 1) * channels)
        rank, states = module.config.step_rank, module.config.states
        low, B, C = module.x_proj[i](u).split([rank, states, states], dim=-1)
        delta, A = module.dt_proj[i](low), -module.A_log[own].exp()
        rows = [tensor.transpose(1, 2) for tensor in (u, delta, B, C)]
        fixed = {"D": module.D[own], "delta_bias": module.dt_bias[own], "delta_softplus": True, "backend": "ref"}
        scanned = selective_scan_fn(rows[0], rows[1], A, rows[2], rows[3], **fixed)
        y = y + shares[..., i : i + 1] * scanned.transpose(1, 2)
    assert_close(module(x), module.out_proj(y * F.silu(gate)))


def test_coarser_scales_begin_with_smaller_steps():
    module = ScaleMixer(MambaConfig(dim=16, layers=1), 8, generator=torch.Generator().manual_seed(0))
    steps = F.softplus(module.dt_bias).detach().view(4, -1)
    assert steps.min().item() >= 0.001 * (1 - 1e-3)
    assert steps.max().item() <= 0.1 * (1 + 1e-3)
    assert all(fine.min() > coarse.max() for fine, coarse in pairwise(steps))


def test_a_factor_of_one_scale_is_refused():
    with refused("factor = 1: an integer from 2 to 65536 is needed"):
        ScaleMixer(MambaConfig(dim=4, layers=1), 1)
