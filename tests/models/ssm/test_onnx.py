"""A Mamba in ONNX gives the same in onnxruntime."""

import pytest
import torch
from mambas import ours, theirs, tokens
from precision import SINGLE, assert_within
from scans import Problem
from torch import nn
from torch.export import Dim

from lib.models.ssm.mamba import accelerate_transformers
from lib.models.ssm.scan import selective_scan_fn

onnxruntime = pytest.importorskip("onnxruntime", reason="pip install onnx onnxscript onnxruntime")
export_onnx = pytest.importorskip("lib.models.ssm.onnx").export_onnx

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchecked")]
FREE = {0: Dim("B", min=2), 1: Dim("T", min=2)}


def run(path, *inputs):
    session = onnxruntime.InferenceSession(path)
    given = dict(zip((x.name for x in session.get_inputs()), (x.numpy() for x in inputs), strict=True))
    return [torch.from_numpy(x) for x in session.run(None, given)]


def test_a_language_model_is_a_loop_of_standard_operators_for_any_batch_and_length(tmp_path):
    model, path = ours(), tmp_path / "mamba.onnx"
    program = export_onnx(model, (tokens(),), path, dynamic_shapes={"tokens": FREE})
    nodes = [node for node in program.model.graph]
    assert {node.domain for node in nodes} == {""}
    assert [node.op_type for node in nodes].count("Scan") == 2  # layers
    for batch, length in ((2, 13), (3, 40), (1, 5)):
        x = torch.randint(50, (batch, length))
        assert_within(run(path, x)[0], model(x).detach(), SINGLE)


class Scan(nn.Module):
    def __init__(self, names, softplus):
        super().__init__()
        self.names, self.softplus = names, softplus

    def forward(self, *inputs):
        options = {"delta_softplus": self.softplus, "return_last_state": True}
        return selective_scan_fn(**dict(zip(self.names, inputs, strict=True)), **options)


@pytest.mark.parametrize(
    ("problem", "dtype"),
    [
        (Problem(groups=(2, 4)), torch.float16),
        (Problem(groups=(0, 2)), torch.float32),
        (Problem(without=("z", "D", "delta_bias", "initial_state"), softplus=False), torch.float64),
    ],
    ids=str,
)
def test_every_form_of_the_scan_is_translated(problem, dtype, tmp_path):
    inputs = problem.inputs(dtype)
    model = Scan(list(inputs), problem.softplus)
    export_onnx(model, tuple(inputs.values()), tmp_path / "scan.onnx")
    for found, wanted in zip(run(tmp_path / "scan.onnx", *inputs.values()), model(*inputs.values()), strict=True):
        assert found.dtype == wanted.dtype
        assert_within(found, wanted, 4 * torch.finfo(dtype).eps if dtype == torch.float16 else SINGLE)


def test_accelerated_transformers_reach_onnx(tmp_path):
    model, path = theirs(), tmp_path / "theirs.onnx"

    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model(x, use_cache=False).logits

    with accelerate_transformers():
        export_onnx(Logits().eval(), (tokens(),), path)
    assert_within(run(path, tokens())[0], model(tokens()).logits.detach(), SINGLE)


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="model is of type str: a Module is needed"):
        export_onnx("model", ())
