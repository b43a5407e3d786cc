import time
import warnings

import pytest
import torch

from lib.profilers.latency import latency, spread


def test_callables_take_turns():
    order = []
    latency({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, runs=2, warmup=1, progress=False)
    assert order == ["a", "b"] * 3


def test_raw_seconds_are_kept_without_the_warmup():
    calls = iter([0.05, 0.0, 0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = latency({"nap": lambda: time.sleep(next(calls))}, runs=2, warmup=1, progress=False)["nap"]
    assert len(seconds) == 2
    assert max(seconds) < 0.05


def test_a_sleep_takes_as_long_as_it_sleeps():
    seconds = latency({"nap": lambda: time.sleep(0.02)}, runs=3, warmup=0, progress=False)["nap"]
    assert min(seconds) >= 0.02


@pytest.mark.parametrize("inference", [True, False])
def test_inference_mode_is_a_choice(inference):
    seen = []
    latency({"a": lambda: seen.append(torch.is_inference_mode_enabled())}, runs=1, inference=inference, progress=False)
    assert set(seen) == {inference}


def test_a_wide_spread_is_told_by_name():
    naps = iter([0.001, 0.03] * 4)
    with pytest.warns(UserWarning, match="jumpy: the interquartile range"):
        latency({"jumpy": lambda: time.sleep(next(naps))}, runs=8, warmup=0, progress=False)


def test_spread_is_the_interquartile_range_over_the_median():
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 3)
    assert spread([1.0]) == 0


@pytest.mark.parametrize("wrong", [{"runs": 0}, {"warmup": -1}])
def test_an_impossible_number_of_rounds_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} = {next(iter(wrong.values()))}"):
        latency({"a": lambda: None}, **wrong)


def test_nothing_to_time_gives_nothing():
    assert latency({}) == {}


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_a_gpu_that_is_not_there_is_named():
    with pytest.raises(RuntimeError, match=r"device = cuda: torch .* finds no CUDA GPU"):
        latency({"one": lambda: None}, device="cuda", progress=False)
