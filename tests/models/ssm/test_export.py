"""A Mamba goes through torch.export with any batch and length, and runs where another backend serves."""

import pytest
import torch
from mambas import ours, theirs, tokens
from precision import SINGLE, assert_within
from torch.export import Dim, export, load, save

from lib import names
from lib.kernels.scan import torch as chunked
from lib.models.ssm.mamba import MambaBackbone, MambaConfig, accelerate_transformers

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchecked")]
FREE = {0: Dim("B", min=2), 1: Dim("T", min=2)}


def scans(program) -> list[str]:
    return [node.args[-1] for node in program.graph.nodes if node.target is torch.ops.ssm.selective_scan.default]


def test_an_exported_language_model_serves_other_batches_and_lengths(tmp_path):
    model = ours()
    program = export(model, (tokens(),), dynamic_shapes={"tokens": FREE})
    assert scans(program) == ["auto", "auto"]
    save(program, tmp_path / "mamba.pt2")
    exported = load(tmp_path / "mamba.pt2").module()
    for batch, length in ((2, 13), (3, 40), (1, 5)):
        x = torch.randint(50, (batch, length))
        assert_within(exported(x), model(x), SINGLE)


def test_an_exported_model_takes_the_backend_of_the_machine_that_it_runs_on(monkeypatch):
    (model, x), calls, forward = (ours(), tokens()), [], chunked.forward
    exported = export(model, (x,), strict=True).module()
    wanted = model(x)
    monkeypatch.setattr(names, "BACKENDS", {"torch": names.BACKENDS["torch"]})
    monkeypatch.setattr(chunked, "forward", lambda *inputs: calls.append(0) or forward(*inputs))
    assert_within(exported(x), wanted, SINGLE)
    assert len(calls) == 2  # layers


def test_an_exported_backbone_trains_and_goes_on_from_a_state():
    config = MambaConfig(dim=8, layers=1)
    backbone, x = MambaBackbone(config, generator=torch.Generator().manual_seed(0)), torch.randn(2, 6, 8)
    exported = export(backbone, (x, backbone.initial_state(2), True)).module()
    out, state = exported(x, backbone.initial_state(2), True)
    again, _ = exported(x, state, True)
    wanted = backbone(torch.cat([x, x], dim=1))
    assert_within(torch.cat([out, again], dim=1), wanted, SINGLE)
    # Cubes: the squares of what is normalised add up to a constant, whose gradient is rounding alone.
    found = torch.autograd.grad(out.pow(3).sum(), [*exported.parameters()])
    exact = torch.autograd.grad(wanted[:, :6].pow(3).sum(), [*backbone.parameters()])
    for one, other in zip(found, exact, strict=True):
        assert_within(one, other, SINGLE)


def test_accelerated_transformers_export():
    model, x = theirs(), tokens()
    with accelerate_transformers():
        program = export(model, (x,), {"use_cache": False}, strict=False)
        assert scans(program) == ["auto", "auto"]
        assert_within(program.module()(x, use_cache=False).logits, model(x, use_cache=False).logits, SINGLE)
