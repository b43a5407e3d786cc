"""The clock of a real GPU against kernels whose duration is known: cycles of sleep, over cycles in a second.

How many there are in a second is found by the host's clock, before and after; the profiler's events have no part in it.
`tests/profilers/test_clocks.py` asks the same of a simulated GPU.
"""

import time
import warnings
from collections.abc import Callable
from statistics import median

import pytest
import torch

from lib.profilers import clocks
from lib.profilers.latency import Timing, timings

LONG = 200_000_000  # cycles: a tenth of a second and more, of which a launch and a synchronisation are nothing
SETTLED = 0.02  # relative change of the rate between before and after


def cycles_per_second() -> float:
    torch.cuda._sleep(LONG)  # an idle device clocks up
    torch.cuda.synchronize()
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        torch.cuda._sleep(LONG)
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return LONG / median(taken)


def timed(call: Callable[[], object], **options) -> Timing:
    return timings({"it": call}, **dict(runs=20, warmup=3, device="cuda", progress=False) | options)["it"]


def against_the_hosts_clock(make: Callable[[int], Callable[[], object]], seconds: float) -> tuple[Timing, float]:
    """What the profiler says of a call that is made for so many cycles, and how long so many take."""
    for _ in range(5):
        before = cycles_per_second()
        cycles = int(seconds * before)
        found = timed(make(cycles))
        after = cycles_per_second()
        if abs(after / before - 1) < SETTLED:
            return found, 2 * cycles / (before + after)
    pytest.fail(f"the device's clock rate does not settle: {before:.3g} cycles a second before, {after:.3g} after")


@pytest.mark.parametrize("device", [2e-4, 5e-3])
@pytest.mark.parametrize("host", [0, 2e-3, 2e-2])
def test_a_kernel_of_known_duration_is_measured_however_slow_the_host(host, device):
    def make(cycles):
        def call():
            time.sleep(host / 2)
            torch.cuda._sleep(cycles // 2)
            time.sleep(host / 2)
            torch.cuda._sleep(cycles - cycles // 2)

        return call

    found, known = against_the_hosts_clock(make, device)
    assert found.clock == clocks.EVENTS
    assert median(found.seconds) == pytest.approx(known, rel=0.05)
    assert median(found.host_seconds) >= host


def test_a_slow_host_does_not_change_a_small_kernel():
    x = torch.zeros(1024, device="cuda")

    def slow():
        time.sleep(5e-3)
        return x + 1

    options = dict(runs=50, warmup=5, device="cuda", progress=False)
    found = timings({"fast host": lambda: x + 1, "slow host": slow}, **options)
    fast, late = (median(one.seconds) for one in found.values())
    assert {one.clock for one in found.values()} == {clocks.EVENTS}
    assert late == pytest.approx(fast, rel=0.2, abs=5e-6)
    assert median(found["slow host"].host_seconds) >= 5e-3


@pytest.mark.parametrize(
    "wait",
    [lambda x: (x * 2).sum().item() + (x + 1), lambda x: x[(x > 0).nonzero()[:, 0]], lambda x: (x + 1).cpu()],
    ids=["value read back", "shape that depends on data", "copy to the host"],
)
def test_a_call_that_waits_for_the_device_is_known(wait):
    x = torch.ones(1 << 20, device="cuda")
    found = timed(lambda: wait(x))
    assert found.clock == clocks.WAITED
    assert found.host_seconds == []
    assert len(found.seconds) == 20


@pytest.mark.parametrize("launches", [1, 300, 3000])
def test_the_device_takes_no_longer_than_the_hosts_clock_says(launches):
    x = torch.zeros(1 << 16, device="cuda")

    def call():
        for _ in range(launches):
            x.add_(1)

    by_events = timed(call, inference=False)
    wall = clocks.Synchronised(torch.device("cuda"))
    by_the_host = median(wall.time(call)[0] for _ in range(20))
    assert median(by_events.seconds) <= 1.1 * by_the_host
    if launches < 500:
        assert by_events.clock == clocks.EVENTS


@pytest.mark.parametrize("training", [False, True])
def test_a_model_that_does_not_wait_is_queued_as_a_whole_and_steady(training):
    layers = [torch.nn.Sequential(torch.nn.Linear(256, 256), torch.nn.GELU()) for _ in range(8)]
    model, x = torch.nn.Sequential(*layers).cuda(), torch.randn(512, 256, device="cuda")

    def call():
        return torch.autograd.grad(model(x).square().mean(), list(model.parameters())) if training else model(x)

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # a wide spread
        found = timed(call, inference=not training)
    assert found.clock == clocks.EVENTS
    assert len(found.host_seconds) == len(found.seconds) == 20
