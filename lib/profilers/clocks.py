"""Clocks for one call: the host's on a CPU, the device's own on a GPU.

On a GPU a call returns when its work is queued. A stopwatch between two synchronisations then times whoever is
slower, and at small sizes that is Python. So the device first gets a sleep that is longer than the host needs for the
whole call: when it wakes, all of the call lies in the queue, and two events around it say what the device took.
"""

import math
from collections.abc import Callable
from time import perf_counter
from typing import Protocol, runtime_checkable

import torch

from lib.profilers.calls import computed

Call = Callable[[], object]

WALL = "wall"
SYNCHRONISED = "wall, synchronised"
EVENTS = "device events"
WAITED = "device events, with waits"
NAMES = (WALL, SYNCHRONISED, EVENTS, WAITED)

MARGIN, WIDEST = 1.5, 6  # of the sleep over the host's time for the call before: at first, and where that was too short
SHORTEST = 2e-4  # s, of a sleep: the sleep and both events are launched, too
# s: a driver queues about a thousand launches and then makes the host wait, however long the device sleeps.
LONGEST = 0.25
TRIES = 3  # of a call that the device overtook: a host that hiccups does so once, a call that waits does so each time
CYCLES = 1_000_000  # of the sleeps by which cycles a second are found: about a millisecond


@runtime_checkable
class Clock(Protocol):
    """Times calls of one callable; `name` is for records, and final once all calls are timed."""

    name: str

    def time(self, call: Call) -> tuple[float, float | None]:
        """Seconds that one call took, and seconds after which it returned to the host, None where nobody knows."""


def clocks(device: torch.device, count: int) -> list[Clock]:
    """A clock for each of so many callables that take turns on a device.

    raises   RuntimeError for a GPU that is not there
    """
    if device.type == "cpu" or not count:
        return [Wall() for _ in range(count)]
    if device.type != "cuda" or not hasattr(torch.cuda, "_sleep"):  # private, in every release so far
        return [Synchronised(device) for _ in range(count)]
    if not torch.cuda.is_available():
        raise RuntimeError(f"device = {device}: torch {torch.__version__} finds no CUDA GPU")
    rate = cycles_per_second(device)
    return [Events(device, rate) for _ in range(count)]


class Wall:
    """The host's clock, where a call returns when it is done."""

    name = WALL

    def time(self, call: Call) -> tuple[float, None]:
        """Time one call; what it returns is freed outside the timed span."""
        start = perf_counter()
        result = call()
        taken = perf_counter() - start
        computed(result, torch.device("cpu"))
        return taken, None


class Synchronised:
    """The host's clock between two synchronisations, for a device whose queue this module cannot fill."""

    name = SYNCHRONISED

    def __init__(self, device: torch.device):
        self.device = device

    def time(self, call: Call) -> tuple[float, float]:
        """Time one call, the host's wait at its end included."""
        torch.accelerator.synchronize(self.device)
        start = perf_counter()
        result = call()
        returned = perf_counter() - start
        torch.accelerator.synchronize(self.device)
        taken = perf_counter() - start
        computed(result, self.device)
        return taken, returned


class Events:
    """A CUDA device's clock: seconds between two events around a call that the host has queued while the device slept.

    A call during which the host has to wait for the device (a value read back, a shape that depends on data, more
    launches than the driver queues) cannot be queued as a whole. It is known by the device having begun before the
    host was done, several times in a row. Its seconds then hold what the device waited, `name` says so, and the
    host's own time is not known. Two events with nothing between them are some microseconds apart: not subtracted.

    rate  cycles that the device sleeps in a second
    """

    def __init__(self, device: torch.device, rate: float):
        self.device, self.rate = device, rate
        self.name = EVENTS
        self._margin = MARGIN
        self._ahead: float | None = None  # seconds of the next sleep

    def time(self, call: Call) -> tuple[float, float | None]:
        """Time one call. Before the first, one is made to learn how long the host needs; one overtaken is repeated."""
        with torch.cuda.device(self.device):
            if self._ahead is None:
                self._ahead = self._enough(self._host(call))
            if self.name == WAITED:
                return self._queued(call)[0], None
            learnt = self._ahead
            for _ in range(TRIES):
                seconds, host, overtaken = self._queued(call)
                if not overtaken:
                    self._ahead = self._enough(host)
                    return seconds, host
                self._margin = min(2 * self._margin, WIDEST)
                self._ahead = min(2 * self._ahead, LONGEST)
            self.name, self._ahead = WAITED, learnt
            return seconds, None

    def _host(self, call: Call) -> float:
        torch.cuda.synchronize(self.device)
        start = perf_counter()
        result = call()
        taken = perf_counter() - start
        torch.cuda.synchronize(self.device)
        computed(result, self.device)
        return taken

    def _enough(self, host: float) -> float:
        return min(SHORTEST + self._margin * host, LONGEST)

    def _queued(self, call: Call) -> tuple[float, float, bool]:
        """Seconds of the device and of the host, and whether the device had begun before the host was done."""
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(self.device)
        torch.cuda._sleep(math.ceil(self._ahead * self.rate))
        first.record()
        start = perf_counter()
        result = call()
        host = perf_counter() - start
        last.record()
        overtaken = first.query()
        torch.cuda.synchronize(self.device)
        computed(result, self.device)
        return first.elapsed_time(last) / 1e3, host, overtaken


def cycles_per_second(device: torch.device) -> float:
    """Cycles that a CUDA device sleeps in a second: the most of several, since an idle one clocks up as it works."""
    found = []
    with torch.cuda.device(device):
        for _ in range(TRIES):
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            torch.cuda._sleep(CYCLES)
            last.record()
            last.synchronize()
            found.append(CYCLES / first.elapsed_time(last) * 1e3)
    return max(found)
