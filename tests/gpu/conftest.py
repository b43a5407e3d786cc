"""Tests that need a CUDA device: each has the mark `gpu` by its folder, and says so where there is none."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def cuda() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return torch.device("cuda")


@pytest.fixture(autouse=True)
def _freed(cuda):
    """What one test leaves in the allocator's cache is not another's."""
    yield
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
