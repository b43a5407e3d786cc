"""Clocks of a GPU, on one that is simulated: `tests/gpu/test_latency.py` asks the same of a real one."""

import warnings

import pytest
import torch
from simulated_gpu import SimulatedGpu

from lib.profilers import clocks
from lib.profilers.latency import timings

SHORT = dict(runs=5, warmup=2, device="cuda", progress=False)


@pytest.fixture
def gpu(monkeypatch):
    return SimulatedGpu().install(monkeypatch)


def timed(call, **options):
    return timings({"it": call}, **SHORT | options)["it"]


def near(seconds):
    return pytest.approx([seconds] * 5, rel=0.05)


@pytest.mark.parametrize("device", [2e-5, 1e-3, 0.1])
@pytest.mark.parametrize("host", [0, 1e-3, 0.1])
def test_a_kernel_of_known_duration_is_measured_however_slow_the_host(gpu, host, device):
    def call():
        gpu.work(host / 2)
        gpu.kernel(device / 2)
        gpu.work(host / 2)
        gpu.kernel(device / 2)

    found = timed(call)
    assert found.clock == clocks.EVENTS
    assert found.seconds == near(device)
    assert found.host_seconds == near(host + 2 * gpu.launch)


def test_the_hosts_clock_between_two_synchronisations_measures_the_host(gpu):
    def call():
        gpu.work(1e-3)
        gpu.kernel(2e-5)

    taken, returned = clocks.Synchronised(torch.device("cuda")).time(call)
    assert taken == pytest.approx(1e-3, rel=0.05)
    assert returned == pytest.approx(1e-3, rel=0.05)


def test_variants_whose_hosts_differ_take_turns_and_are_told_apart_by_the_device(gpu):
    def variant(host, device):
        return lambda: (gpu.work(host), gpu.kernel(device))

    found = timings({"slow host": variant(5e-3, 1e-4), "slow device": variant(1e-5, 2e-4)}, **SHORT)
    assert found["slow host"].seconds == near(1e-4)
    assert found["slow device"].seconds == near(2e-4)


def test_a_call_that_reads_a_value_back_is_known_to_wait(gpu):
    def call():
        gpu.kernel(1e-3)
        gpu.wait()
        gpu.work(2e-3)
        gpu.kernel(1e-3)

    found = timed(call)
    assert found.clock == clocks.WAITED
    assert found.seconds == near(4e-3)
    assert found.host_seconds == []


def test_a_call_that_waits_only_at_its_end_is_known_to_wait(gpu):
    found = timed(lambda: (gpu.kernel(1e-3), gpu.wait()))
    assert found.clock == clocks.WAITED
    assert found.seconds == near(1e-3)


def test_more_launches_than_the_queue_holds_are_known_and_measured_where_the_device_is_the_slower(gpu):
    found = timed(lambda: [gpu.kernel(2e-5) for _ in range(3000)])
    assert found.clock == clocks.WAITED
    assert found.seconds == near(3000 * 2e-5)


def test_a_host_slower_than_the_longest_sleep_is_known_to_let_the_device_wait(gpu):
    found = timed(lambda: (gpu.kernel(1e-3), gpu.work(2 * clocks.LONGEST), gpu.kernel(1e-3)))
    assert found.clock == clocks.WAITED


def test_a_host_that_hiccups_once_is_overtaken_once(gpu):
    hosts = iter([1e-4, 1e-4, 1e-4, 1e-4, 2e-2])  # two of the warm-up, then the third round

    found = timed(lambda: (gpu.kernel(1e-4), gpu.work(next(hosts, 1e-4)), gpu.kernel(1e-4)), warmup=1)
    assert found.clock == clocks.EVENTS
    assert found.seconds == near(2e-4)
    assert max(found.host_seconds) < 1e-3


def test_a_host_that_hiccups_now_and_then_does_not_make_every_sleep_long(gpu):
    calls = iter(range(1000))
    found = timed(lambda: (gpu.work(1e-2 if next(calls) % 10 == 9 else 1e-4), gpu.kernel(1e-4)), runs=200)
    assert found.clock == clocks.EVENTS
    assert gpu.now < 250 * (clocks.SHORTEST + clocks.WIDEST * 1e-4 + 1e-4) + 25 * 2e-2


def test_a_first_call_that_compiles_leaves_no_long_sleeps_behind(gpu):
    hosts = iter([10.0])
    found = timed(lambda: (gpu.work(next(hosts, 1e-4)), gpu.kernel(1e-4)), warmup=1, runs=100)
    assert found.clock == clocks.EVENTS
    assert gpu.now < 10 + clocks.LONGEST + 0.1


def test_a_device_that_clocks_up_sleeps_long_enough_again(gpu):
    calls = iter(range(100))

    def call():
        gpu.rate *= 3 if next(calls) == 2 else 1
        gpu.work(1e-2)
        gpu.kernel(1e-3)

    found = timed(call)
    assert found.clock == clocks.EVENTS
    assert found.seconds == near(1e-3)


def test_no_round_of_a_warmup_is_needed(gpu):
    found = timed(lambda: (gpu.work(1e-3), gpu.kernel(1e-4)), warmup=0)
    assert found.clock == clocks.EVENTS
    assert found.seconds == near(1e-4)


def test_a_call_that_comes_to_wait_on_the_way_has_no_time_of_the_host(gpu):
    calls = iter(range(100))
    found = timed(lambda: (gpu.kernel(1e-4), gpu.wait() if next(calls) > 4 else None))
    assert found.clock == clocks.WAITED
    assert len(found.seconds) == 5
    assert found.host_seconds == []


def test_a_host_that_varies_is_no_reason_for_a_warning(gpu):
    hosts = iter([1e-3, 5e-3] * 20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = timed(lambda: (gpu.work(next(hosts)), gpu.kernel(1e-4)), runs=8)
    assert max(found.host_seconds) > 2 * min(found.host_seconds)


def test_a_device_that_varies_is_told(gpu):
    lengths = iter([1e-4, 3e-4] * 20)
    with pytest.warns(UserWarning, match="it: the interquartile range"):
        timed(lambda: gpu.kernel(next(lengths)), runs=8)


def test_nothing_on_the_device_takes_next_to_nothing(gpu):
    assert max(timed(lambda: gpu.work(1e-3)).seconds) < 1e-6


@pytest.mark.parametrize(
    ("device", "kind"), [("cpu", clocks.Wall), ("mps", clocks.Synchronised), ("cuda", clocks.Events)]
)
def test_each_device_has_its_clock(gpu, device, kind):
    assert [type(one) for one in clocks.clocks(torch.device(device), 2)] == [kind] * 2


def test_a_torch_without_the_private_sleep_times_by_the_host_and_says_so(gpu, monkeypatch):
    monkeypatch.delattr(torch.cuda, "_sleep")
    found = timed(lambda: (gpu.work(1e-3), gpu.kernel(1e-4)))
    assert found.clock == clocks.SYNCHRONISED
    assert found.seconds == near(1.1e-3)


def test_a_cpu_keeps_its_one_clock():
    found = timings({"it": lambda: None}, runs=2, progress=False)["it"]
    assert (found.clock, found.host_seconds, len(found.seconds)) == (clocks.WALL, [], 2)
