"""Token reduction goes through torch.compile without a break in its graph."""

import os
import subprocess
import sys

import pytest
from reductions import REDUCTIONS

from lib.paths import ROOT

pytestmark = pytest.mark.slow

COMPILED = """
import sys
import torch
from torch.testing import assert_close
from towers import images, tower
from lib.models.clip.reduction import reduce_tokens

for method in sys.argv[1:]:
    reduced, x = reduce_tokens(tower(dtype=torch.float32), method, 0.5), images(dtype=torch.float32)
    compiled = torch.compile(reduced, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        assert_close(compiled(x).pooler_output, reduced(x).pooler_output)
"""


def test_it_compiles_in_one_piece():
    # In a process of its own: the shape checks of the tests cannot be traced.
    subprocess.run(
        [sys.executable, "-c", COMPILED, *REDUCTIONS],
        check=True,
        cwd=ROOT / "tests/helpers",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
