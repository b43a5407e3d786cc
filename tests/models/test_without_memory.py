"""Models and their inputs without memory, in a process of their own: what read their addresses would end it."""

import os
import subprocess
import sys

import pytest

from lib.paths import ROOT

pytestmark = pytest.mark.slow

CODE = """
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from lib.models.distill.modes import Modes
from lib.models.distill.replace import deployed
from lib.models.mrss.dynamic import Dynamic
from lib.models.ssm.mamba import MambaBlock, MambaConfig, MambaLM
from lib.models.ssm.s4d import S4D
from lib.models.ssm.s4d_block import S4DBlock
from lib.models.ssm.scan import selective_scan_fn

SIZES = MambaConfig(4, layers=1, states=2, vocabulary=5)
bank = deployed(torch.nn.Sequential(Modes.of(S4D(4, 4)), S4D(4, 4)), 6)
block = MambaBlock(SIZES)
x, tokens = torch.randn(2, 6, 4), torch.zeros(2, 6, dtype=torch.long)

def train(model):
    x = torch.randn(2, 6, 4)
    model(x).square().sum().backward()
    return next(model.parameters()).grad.shape

def scan(u):
    A, B = -torch.rand(4, 2), torch.rand(2, 2, 6)
    return selective_scan_fn(u.mT, u.mT, A, B, B, D=A[:, 0], delta_softplus=True)

with FakeTensorMode(allow_non_fake_inputs=True):
    print("deployed", tuple(bank(x).shape))
    print("scan", tuple(scan(x).shape))
    print("block", tuple(train(MambaBlock(SIZES))), tuple(block(x).shape))
    model = MambaLM(SIZES)
    print("language", tuple(model(tokens).shape), tuple(model.generate(tokens, 3).shape))
    print("dynamic", tuple(Dynamic(SIZES, 2, 1, 1)(torch.randn(2, 6, 4)).shape))
    print("S4D", tuple(S4D(4, 4)(torch.randn(2, 6, 4)).shape))
with torch.device("meta"):
    print("meta", tuple(MambaLM(SIZES)(tokens.to("meta")).shape), tuple(S4DBlock(4, states=4)(x.to("meta")).shape))
"""


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What the process said of each kind, by its name; it ended well."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"}
    done = subprocess.run([sys.executable, "-c", CODE], env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("kind", "shapes"),
    {
        "deployed": "(2, 6, 4)",
        "scan": "(2, 4, 6)",
        "block": "(8, 2) (2, 6, 4)",
        "language": "(2, 6, 5) (2, 9)",
        "dynamic": "(2, 6, 4)",
        "S4D": "(2, 6, 4)",
        "meta": "(2, 6, 5) (2, 6, 4)",
    }.items(),
)
def test_shapes_are_found_without_memory(said, kind, shapes):
    assert said[kind] == shapes
