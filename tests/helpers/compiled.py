"""What NVRTC says of kernels that it compiles: registers, spills and shared memory, without a GPU."""

import re

import pytest

from lib.kernels import nvrtc

MISSING = nvrtc.unavailable()
NEEDED = pytest.mark.skipif(MISSING is not None, reason=f"{MISSING}: pip install nvidia-cuda-nvrtc")
CAPABILITIES = (75, 80, 89, 90, 100, 120)
SHARED_BYTES = 48 * 1024  # without asking for more, on every GPU
REGISTERS = 65536  # of a multiprocessor


def resources(source: str, options: list[str]) -> dict[str, tuple[int, int, int]]:
    """Registers, bytes spilled, bytes of shared memory of each kernel, from the compiler's log."""
    _, log = nvrtc.build_with_log(nvrtc.sources(source), source, [*options, "--ptxas-options=-v"])
    found = {}
    for name, spills, used in re.findall(
        r"entry function '(\w+)'.*?(\d+) bytes spill stores.*?: (Used .*?)$", log, flags=re.DOTALL | re.MULTILINE
    ):
        shared = re.search(r"(\d+) bytes smem", used)
        registers = int(re.search(r"(\d+) registers", used)[1])
        found[name] = registers, int(spills), int(shared[1]) if shared else 0
    return found
