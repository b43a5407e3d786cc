import platform

import pytest
import torch

from lib.profilers import allocator


def test_the_record_says_which_allocator_ran():
    assert allocator.describe() in ("glibc, freed memory kept", "system default")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is tuned; runs on Linux")
def test_freed_memory_is_kept_inside_and_goes_back_after():
    import psutil

    resident = psutil.Process().memory_info
    size = 256 * 2**20
    before = resident().rss
    with allocator.freed_memory_kept():
        block = torch.ones(size // 4)
        del block
        assert resident().rss - before > 0.9 * size
    assert resident().rss - before < 0.1 * size


def test_an_error_inside_passes_through():
    with pytest.raises(RuntimeError, match="inside"), allocator.freed_memory_kept():
        raise RuntimeError("inside")
