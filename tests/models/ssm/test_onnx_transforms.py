"""Long convolutions in ONNX: what is deployed by its spectra has a form there, what has complex states is refused."""

import io

import pytest
import torch
from precision import SINGLE, assert_within
from refusals import refused

from lib.models.distill.modes import Modes
from lib.models.distill.replace import deployed
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig
from lib.models.ssm.s4d import S4D

onnxruntime = pytest.importorskip("onnxruntime", reason="pip install onnx onnxscript onnxruntime")
export_onnx = pytest.importorskip("lib.models.ssm.onnx").export_onnx

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchecked")]


@pytest.fixture(scope="module")
def layer() -> S4D:
    return S4D(3, 4, generator=torch.Generator().manual_seed(0))


def test_an_s4d_that_is_deployed_gives_the_same_in_onnx(layer, tmp_path, generator):
    x = torch.randn(2, 9, 3, generator=generator)
    export_onnx(deployed(layer, 9), (x.flip(1),), tmp_path / "s4d.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "s4d.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert_within(torch.from_numpy(found), layer(x).detach(), SINGLE)


@pytest.mark.filterwarnings("ignore")
def test_the_older_exporter_refuses_a_scan(generator):
    model = MambaBlock(MambaConfig(4, 1), generator=generator).eval()
    with pytest.raises(RuntimeError, match=r"^Exporting the operator '.*' to ONNX opset version .* is not supported"):
        torch.onnx.export(model, (torch.zeros(1, 5, 4),), io.BytesIO(), dynamo=False)


@pytest.mark.limit(
    "ssm",
    "An S4D, a bank of modes, or a deployed bank of modes in ONNX",
    "ONNX has no complex numbers. Export deployed(model, length), whose S4D layers are fixed convolutions.",
)
@pytest.mark.parametrize("kind", ["S4D", "Modes", "Recurrence"])
def test_what_has_complex_states_is_refused_in_a_line(kind, layer):
    model = {"S4D": lambda: layer, "Modes": lambda: Modes.of(layer), "Recurrence": lambda: deployed(Modes.of(layer), 9)}
    with refused(f"a {kind} has no form in ONNX (No ONNX function found for <OpOverload(op='"):
        export_onnx(model[kind](), (torch.zeros(2, 9, 3),))
