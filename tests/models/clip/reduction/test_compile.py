"""Token reduction is compiled without a break in its graph, exported, traced, and run without memory."""

import os
import subprocess
import sys

import pytest
from reductions import REDUCTIONS

from lib.paths import ROOT

pytestmark = pytest.mark.slow

START = """
import sys
import torch
from torch.testing import assert_close
from towers import images, tower
from lib.models.clip.reduction import reduce_tokens

SMALL = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
x = images(side=24)

def towers():
    for method in sys.argv[1:]:
        reduced = reduce_tokens(tower(side=24, **SMALL), method, 0.6).requires_grad_(False)
        yield reduced, reduced(x).pooler_output
"""
COMPILED = """
for reduced, wanted in towers():
    assert_close(torch.compile(reduced, backend="eager", fullgraph=True)(x).pooler_output, wanted)
"""
TRACED = """
import warnings
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

class Pooled(torch.nn.Module):
    def __init__(self, reduced):
        super().__init__()
        self.reduced = reduced

    def forward(self, x):
        return self.reduced(x).pooler_output

for reduced, wanted in towers():
    other = images(side=24, seed=2)
    again, pooled = reduced(other).pooler_output, Pooled(reduced)
    exported = torch.export.export(pooled, (x,)).module()
    with warnings.catch_warnings(action="ignore"):  # what it says of shapes that are numbers
        traced = torch.jit.trace(pooled, (x,), check_trace=False)
    fixed = reduced.per_image  # a trace keeps the number of tokens that it saw
    for made in (exported, make_fx(pooled)(x), *([] if fixed else [traced])):
        assert_close(made(x), wanted)
        assert fixed and made is not exported or (made(other) - again).abs().max() < 1e-6
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert reduced(mode.from_tensor(x)).pooler_output.shape == wanted.shape
    assert_close(torch.vmap(lambda one: pooled(one[None])[0])(x), wanted)
    meta = reduced.to("meta")(x.to("meta"))
    assert meta.pooler_output.shape == wanted.shape
"""


@pytest.mark.parametrize("text", [COMPILED, TRACED], ids=["compiled", "traced"])
def test_it_is_seen_through_in_one_piece(text):
    # In a process of its own: the shape checks of the tests cannot be traced.
    subprocess.run(
        [sys.executable, "-c", START + text, *REDUCTIONS],
        check=True,
        cwd=ROOT / "tests/helpers",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
