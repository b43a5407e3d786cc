"""The benchmark's training steps: the same model everywhere, other results refused, and what a GPU compares."""

import dataclasses

import pytest
import torch

from lib.experiments import ssm_step
from lib.experiments.ssm_scan_jobs import ABSENT, Settings
from lib.experiments.ssm_step import ACCELERATED, FALLBACK, FUSED, HALF, OURS, SINGLE, STEP
from lib.models.ssm.scan import selective_scan_fn

SMALL = Settings(seed=0, runs=2, warmup=0, tokens=16, step=(2, 16, 8, 1, 20), isolated=False)
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_all_that_run_here_are_timed_and_their_peak_is_measured():
    found = ssm_step.step(SMALL, fused=False)
    assert [(part, name) for part, name, *_ in found] == [(STEP, name) for name in (OURS, ACCELERATED, FALLBACK)]
    assert all(len(measured["seconds"]) == 2 and measured["peak_bytes"] > 0 for _, _, measured, _ in found)
    assert {(at["batch"], at["length"], at["precision"]) for *_, at in found} == {(2, 16, SINGLE)}


def test_transformers_own_scan_is_timed_at_fewer_tokens_where_there_are_many():
    found = ssm_step.step(dataclasses.replace(SMALL, tokens=8), fused=False)
    timed = [(name, at["batch"], at["length"]) for _, name, _, at in found]
    assert timed == [(OURS, 2, 16), (ACCELERATED, 2, 16), (OURS, 1, 8), (FALLBACK, 1, 8)]


@pytest.mark.parametrize("factor", [1.0, 1.1])
def test_the_scan_of_mamba_ssm_is_put_in_and_held_to_ours(factor, monkeypatch):
    calls = []

    def scan(hidden_states, dt, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, **_):
        calls.append(hidden_states.shape)
        return factor * selective_scan_fn(hidden_states, dt, A, B, C, D, z, delta_bias, delta_softplus)

    monkeypatch.setattr(ssm_step, "_mamba_ssm", lambda: scan)
    rows = [row for row in ssm_step.step(SMALL, fused=True) if row[1] == FUSED]
    assert set(calls) == {(2, 16, 16)}
    ((part, _, measured, _),) = rows
    assert part == (STEP if factor == 1 else ABSENT)
    assert ("seconds" in measured) == (factor == 1)
    assert factor == 1 or "the logits: off by" in measured["error"]


def test_a_scan_that_is_not_there_is_a_row():
    (row,) = [row for row in ssm_step.step(SMALL, fused=True) if row[1] == FUSED]
    assert row[0] == ABSENT
    assert "mamba_ssm" in row[2]["error"]
    assert row[3] == {"of": "step of 16 tokens in float32"}


def test_a_gpu_compares_half_precision_too_and_a_cpu_does_not():
    series = list(ssm_step._series(2048, 256, True, CUDA))
    names = (OURS, ACCELERATED, FUSED)
    assert series == [(2048, names, SINGLE), (2048, names, HALF), (256, (OURS, FALLBACK), SINGLE)]
    assert list(ssm_step._series(64, 64, False, CPU)) == [(64, (OURS, ACCELERATED, FALLBACK), SINGLE)]


@pytest.mark.parametrize(("gibibytes", "batch", "length"), [(14, 1, 1024), (78, 8, 2048)])
def test_a_large_gpu_gets_more_tokens_of_the_same_model(gibibytes, batch, length, monkeypatch):
    monkeypatch.setattr(ssm_step, "available_bytes", lambda device: gibibytes * 2**30)
    assert ssm_step.usual(CUDA) == (batch, length, 768, 24, 8192)
