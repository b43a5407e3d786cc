"""A GPU, its host and the queue between them in simulated time: `torch.cuda` as far as the profilers' clocks use it."""

from collections import deque
from contextlib import nullcontext

import torch

from lib.profilers import clocks


class SimulatedGpu:
    """A device that works through what the host has queued, in order.

    rate    cycles that it sleeps in a second
    launch  seconds of the host for each kernel and event
    depth   launches that the queue holds; with more the host waits
    """

    def __init__(self, rate: float = 1.5e9, launch: float = 5e-6, depth: int = 1024):
        self.rate, self.launch, self.depth = rate, launch, depth
        self.now = 0.0  # the host's time
        self.free_at = 0.0  # when the device is done with all that is queued
        self._queued: deque[float] = deque()  # when each launch that the device has not begun will begin

    def work(self, seconds: float) -> None:
        """The host does something of its own."""
        self.now += seconds

    def kernel(self, seconds: float) -> float:
        """Queue a kernel; returns when it will end."""
        self.now += self.launch
        while self._queued and self._queued[0] <= self.now:
            self._queued.popleft()
        if len(self._queued) >= self.depth:
            self.now = self._queued.popleft()
        begins = max(self.now, self.free_at)
        self._queued.append(begins)
        self.free_at = begins + seconds
        return self.free_at

    def wait(self, *_) -> None:
        """The host waits for all that is queued, as a value that is read back makes it do."""
        self.now = max(self.now, self.free_at)

    def install(self, monkeypatch) -> "SimulatedGpu":
        """Take the place of `torch.cuda` and of the host's stopwatch."""
        monkeypatch.setattr(clocks, "perf_counter", lambda: self.now)
        monkeypatch.setattr(torch.accelerator, "synchronize", self.wait)
        for name, stand_in in {
            "_sleep": lambda cycles: self.kernel(cycles / self.rate),
            "synchronize": self.wait,
            "is_available": lambda: True,
            "device": nullcontext,
            "Event": lambda enable_timing: Event(self, enable_timing),
        }.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)
        return self


class Event:
    """A mark in the queue of a `SimulatedGpu`: the device takes half a microsecond for it."""

    def __init__(self, gpu: SimulatedGpu, enable_timing: bool):
        assert enable_timing
        self._gpu = gpu
        self._at: float | None = None

    def record(self) -> None:
        self._at = self._gpu.kernel(5e-7)

    def query(self) -> bool:
        return self._at <= self._gpu.now

    def synchronize(self) -> None:
        self._gpu.now = max(self._gpu.now, self._at)

    def elapsed_time(self, other: "Event") -> float:
        """Milliseconds, as torch has it; an event that has not come to pass has no time."""
        assert self.query()
        assert other.query()
        return (other._at - self._at) * 1e3
