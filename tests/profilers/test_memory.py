import pytest
import torch

from lib.profilers.memory import LiveBytes, available_bytes, peak_bytes

KIB = 1024
SIZE = (256, 4)  # 4 KiB of float32


def test_the_result_counts_and_the_input_does_not():
    x = torch.zeros(SIZE)
    assert peak_bytes(lambda: x + 1) == 4 * KIB


def test_what_dies_early_is_not_added_to_what_comes_later():
    x = torch.zeros(SIZE)

    def chain():
        y = x + 1
        y = y * 2  # the first y dies here, when two are alive
        return y * 3

    assert peak_bytes(chain) == 8 * KIB


def test_a_view_costs_nothing_and_keeps_its_storage_alive():
    def views():
        row = torch.zeros(SIZE)[0]
        return row, torch.zeros(SIZE)

    assert peak_bytes(views) == 8 * KIB


def test_an_in_place_operation_costs_nothing():
    x = torch.zeros(SIZE)
    assert peak_bytes(lambda: x.add_(1), inference=False) == 0


def test_training_keeps_what_the_backward_pass_needs():
    layers = torch.nn.Sequential(*[torch.nn.Sigmoid() for _ in range(4)])
    x = torch.zeros(SIZE, requires_grad=True)
    assert peak_bytes(lambda: layers(x), inference=False) == 4 * 4 * KIB
    assert peak_bytes(lambda: layers(x)) == 2 * 4 * KIB


def test_the_same_call_gives_the_same_number():
    model = torch.nn.TransformerEncoderLayer(16, 2, batch_first=True)
    x = torch.zeros(2, 7, 16)

    def step():
        model.zero_grad()
        model(x).sum().backward()

    step()
    assert len({peak_bytes(step, inference=False) for _ in range(3)}) == 1


def test_everything_is_released_in_the_end():
    with LiveBytes() as live:
        kept = torch.zeros(SIZE)
        torch.zeros(SIZE).sum()
    assert live.live == kept.nbytes
    del kept
    assert live.live == 0


def test_an_unknown_device_is_refused():
    with pytest.raises(ValueError, match="device = meta"):
        peak_bytes(lambda: None, device="meta")


def test_some_memory_is_free():
    assert available_bytes("cpu") > KIB


class SimulatedAllocator:
    """torch.cuda's allocator as far as it is read here: bytes allocated, their peak, and blocks kept when freed."""

    def __init__(self, total: int):
        self.total, self.allocated, self.peak, self.reserved = total, 0, 0, 0

    def allocate(self, size: int) -> None:
        self.allocated += size
        self.peak = max(self.peak, self.allocated)
        self.reserved = max(self.reserved, self.allocated)

    def install(self, monkeypatch) -> "SimulatedAllocator":
        for name, stand_in in {
            "mem_get_info": lambda _: (self.total - self.reserved, self.total),
            "memory_reserved": lambda _: self.reserved,
            "memory_allocated": lambda _: self.allocated,
            "max_memory_allocated": lambda _: self.peak,
            "reset_peak_memory_stats": lambda _: setattr(self, "peak", self.allocated),
            "synchronize": lambda _: None,
            "empty_cache": lambda: setattr(self, "reserved", self.allocated),
        }.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)
        return self


@pytest.fixture
def allocator(monkeypatch):
    return SimulatedAllocator(total=1000).install(monkeypatch)


def test_on_a_gpu_what_the_first_call_leaves_behind_is_nobodys(allocator):
    workspace = iter([100])

    def call():
        allocator.allocate(next(workspace, 0))
        allocator.allocate(30)
        allocator.allocate(-20)
        allocator.allocate(15)
        allocator.allocate(-25)

    allocator.allocate(7)  # the input
    assert [peak_bytes(call, device="cuda") for _ in range(2)] == [30, 30]


def test_on_a_gpu_memory_that_torch_keeps_in_its_cache_is_free(allocator):
    allocator.allocate(600)
    allocator.allocate(-500)
    assert torch.cuda.mem_get_info("cuda")[0] == 400
    assert available_bytes("cuda") == 900
