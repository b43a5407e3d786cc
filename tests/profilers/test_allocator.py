import platform
import subprocess
import sys
import textwrap

import pytest

from lib.profilers import allocator

pytestmark = pytest.mark.slow


def test_the_record_says_which_allocator_ran():
    assert allocator.describe() in ("glibc, freed memory kept", "system default")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is tuned; runs on Linux")
def test_freed_memory_is_kept_inside_and_goes_back_after():
    """In a process of its own: in a used one, a part of the block may come from memory that is there already."""
    script = """
        import psutil, torch
        from lib.profilers import allocator

        resident = lambda: psutil.Process().memory_info().rss
        before = resident()
        with allocator.freed_memory_kept():
            block = torch.ones(64 * 2**20)
            del block
            inside = resident()
        print(inside - before, resident() - before)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    inside, after = (int(grown) / 2**28 for grown in run.stdout.split())
    assert inside > 0.9
    assert after < 0.1


def test_an_error_inside_passes_through():
    with pytest.raises(RuntimeError, match="inside"), allocator.freed_memory_kept():
        raise RuntimeError("inside")
