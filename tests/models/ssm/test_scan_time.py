"""Nothing reaches back in time, and nothing on its way forward is hidden or overflows."""

import pytest
import torch
from scans import FAST, Problem, run

from lib.models.ssm.scan import selective_scan_fn


@pytest.mark.parametrize("backend", [*FAST, "ref"])
@pytest.mark.parametrize("name", ["u", "delta", "B", "C", "z"])
def test_nothing_reaches_back_in_time(backend, name):
    inputs = Problem(length=70).inputs()
    before = selective_scan_fn(**inputs, delta_softplus=True, backend=backend)
    changed = inputs[name].clone()
    changed[..., 45:] += 1
    after = selective_scan_fn(**(inputs | {name: changed}), delta_softplus=True, backend=backend)
    torch.testing.assert_close(after[..., :45], before[..., :45], rtol=0, atol=0)
    assert not torch.equal(after[..., 45:], before[..., 45:])


@pytest.mark.slow
@pytest.mark.parametrize("backend", FAST)
def test_long_and_stiff_sequences_stay_finite(backend):
    inputs = Problem(batch=1, channels=4, length=65536, states=4, step=8.0, without=("initial_state",)).inputs()
    inputs["A"] = inputs["A"] * 1e4
    inputs["delta"][..., ::3] = -30.0  # steps of nearly nothing between huge ones
    found = run(backend, inputs, True)
    assert all(x.isfinite().all() for x in found.values())


@pytest.mark.parametrize("backend", FAST)
def test_what_is_not_a_number_is_not_hidden(backend):
    inputs = Problem().inputs()
    inputs["u"][0, 3, 10] = torch.nan
    out = selective_scan_fn(**inputs, delta_softplus=True, backend=backend)
    assert out[0, 3, 10:].isnan().all()
    assert out[0, 3, :10].isfinite().all()
    assert out[1].isfinite().all()
