"""A training step of a 24-layer, 768-channel Mamba on a real GPU takes no longer than transformers' does."""

import importlib.util
import statistics

import pytest

from lib.experiments import ssm_step
from lib.experiments.ssm_scan_jobs import ABSENT, Settings
from lib.experiments.ssm_step import ACCELERATED, FALLBACK, FUSED, OURS


@pytest.fixture(scope="module")
def found():
    return ssm_step.step(Settings(device="cuda", runs=5, warmup=2), bool(importlib.util.find_spec("mamba_ssm")))


def test_all_models_agree_and_fit(found):
    wrong = {name: measured["error"] for part, name, measured, _ in found if part == ABSENT and name != FUSED}
    assert wrong == {}


@pytest.mark.parametrize("theirs", [FUSED, ACCELERATED, FALLBACK])
def test_ours_takes_no_longer(found, theirs):
    seconds = {
        (name, at["length"], at["precision"]): statistics.median(measured["seconds"])
        for part, name, measured, at in found
        if part != ABSENT
    }
    compared = [key for key in seconds if key[0] == theirs]
    if not compared:
        pytest.skip("mamba_ssm's scan does not run here")
    assert all(seconds[OURS, *key[1:]] <= seconds[key] for key in compared), seconds
