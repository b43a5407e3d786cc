"""Token reduction is compiled without a break in its graph, exported, traced, and run without memory."""

import os
import subprocess
import sys

import pytest
from reductions import REDUCTIONS

from lib.paths import ROOT

pytestmark = pytest.mark.slow

TEXT = """
import sys, warnings
import onnxruntime
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing import assert_close
from towers import images, tower
from lib.models.clip.reduction import reduce_tokens

SMALL = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2, "dtype": torch.float32}
file, *methods = sys.argv[1:]
x, other, even = (images(side=24, seed=seed, dtype=torch.float32) for seed in (1, 2, 3))
even[:] = 0  # all patches are equal, and so are all pairs


def towers(layers, *methods):
    for method in methods:
        yield reduce_tokens(tower(side=24, num_hidden_layers=layers, **SMALL), method, 0.6).requires_grad_(False)


class Pooled(torch.nn.Module):
    def __init__(self, reduced):
        super().__init__()
        self.reduced = reduced

    def forward(self, x):
        return self.reduced(x).pooler_output


for reduced in towers(2, *methods):
    torch._dynamo.reset()
    compiled = torch.compile(reduced, backend="eager", fullgraph=True)
    assert_close(compiled(x).pooler_output, reduced(x).pooler_output)

for reduced in towers(1, *methods):
    pooled = Pooled(reduced)
    with warnings.catch_warnings(action="ignore"):  # what it says of shapes that are numbers
        traced = torch.jit.trace(pooled, (x,), check_trace=False)
    exported = torch.export.export(pooled, (x,)).module()
    for made in (traced, exported):
        assert_close(made(x), pooled(x))
        if not reduced.per_image or made is exported:  # the others keep the number of tokens that they saw
            assert_close(made(other), pooled(other))
    assert_close(torch.vmap(lambda one: pooled(one[None])[0])(x), pooled(x))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert reduced(mode.from_tensor(x)).pooler_output.shape == (3, 8)
    assert reduced.to("meta")(x.to("meta")).pooler_output.shape == (3, 8)

for reduced in towers(1, "merge"):
    assert_close(make_fx(Pooled(reduced))(x)(other), reduced(other).pooler_output)
    torch.onnx.export(reduced, (x,), dynamo=True, verbose=False).save(file)
    session = onnxruntime.InferenceSession(file)
    for shown in (x, other, even):
        found = session.run(None, {session.get_inputs()[0].name: shown.numpy()})[1]
        assert_close(torch.from_numpy(found), reduced(shown).pooler_output, rtol=1e-4, atol=1e-4)
"""


def test_it_is_seen_through_in_one_piece(tmp_path):
    # In a process of its own: the shape checks of the tests cannot be traced.
    subprocess.run(
        [sys.executable, "-c", TEXT, str(tmp_path / "merge.onnx"), *REDUCTIONS],
        check=True,
        cwd=ROOT / "tests/helpers",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
