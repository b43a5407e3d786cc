"""Packed rows through convolution and models, through compilers, and what is refused."""

import pytest
import torch
from refusals import refused
from scans import Problem
from seeded_mambas import seeded, tokens
from torch.library import opcheck
from torch.nn import functional as F
from torch.testing import assert_close

from lib.models.mrss.low_rate import LowRate
from lib.models.ssm.convolution import convolution_silu, last_inputs
from lib.models.ssm.lengths import seq_idx_of_lengths, seq_idx_of_positions
from lib.models.ssm.mamba import MambaBackbone, MambaClassifier, MambaLM
from lib.models.ssm.scan import selective_scan_fn

PIECES = [1, 4, 2, 6]
SEQ_IDX = torch.repeat_interleave(torch.arange(4, dtype=torch.int32), torch.tensor(PIECES)).unsqueeze(0)
NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias", "initial_state")


def normal(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("taps", [1, 2, 4, 7])
@pytest.mark.parametrize("bias", [True, False])
def test_each_sequence_is_convolved_by_itself(taps, bias, generator):
    x, past = normal(generator, 1, 13, 6), normal(generator, 1, taps - 1, 6)
    weight, bias = normal(generator, 6, 1, taps), normal(generator, 6) if bias else None
    leaves = [one.requires_grad_() for one in (x, past, weight, bias) if one is not None]
    alone = []
    for k, one in enumerate(x.split(PIECES, dim=1)):
        before = past if k == 0 else torch.zeros_like(past)
        alone.append(F.silu(F.conv1d(torch.cat([before, one], dim=1).mT, weight, bias, groups=6).mT))
    wanted, found = torch.cat(alone, dim=1), convolution_silu(x, weight, bias, past, SEQ_IDX)
    assert_close(found, wanted)
    pull = normal(generator, 1, 13, 6)
    assert_close(torch.autograd.grad(found, leaves, pull), torch.autograd.grad(wanted, leaves, pull))


def test_a_convolution_keeps_infinities_in_their_sequence(generator):
    x, weight = normal(generator, 1, 13, 6), normal(generator, 6, 1, 4)
    clean = convolution_silu(x, weight, seq_idx=SEQ_IDX)
    x[:, 4] = torch.inf
    leaf = x.requires_grad_()
    found = convolution_silu(leaf, weight, seq_idx=SEQ_IDX)
    assert torch.equal(found[:, 5:], clean[:, 5:])
    (grad,) = torch.autograd.grad(found[:, 5:].sum(), leaf)
    assert grad[:, 5:].isfinite().all()


def test_last_inputs_are_those_of_the_last_sequence(generator):
    x, past = normal(generator, 2, 3, 6), normal(generator, 2, 4, 6)
    found = last_inputs(x, 4, past, torch.tensor([[0, 0, 0], [0, 1, 1]]))
    assert torch.equal(found[0], torch.cat([past[0, 3:], x[0]]))
    assert torch.equal(found[1], torch.cat([torch.zeros(2, 6, dtype=torch.float64), x[1, 1:]]))


def test_a_language_model_trains_on_a_row_as_on_its_sequences(generator):
    model, row = seeded(MambaLM).double(), tokens(generator, batch=1, length=13)
    packed = model(row, seq_idx=SEQ_IDX)
    alone = torch.cat([model(one) for one in row.split(PIECES, dim=1)], dim=1)
    assert_close(packed, alone)
    weights, pull = list(model.parameters()), normal(generator, *alone.shape)
    assert_close(torch.autograd.grad(packed, weights, pull), torch.autograd.grad(alone, weights, pull))


def test_a_packed_row_is_left_in_the_state_of_its_last_sequence(generator):
    model, row = seeded(MambaLM).double(), tokens(generator, batch=1, length=13)
    _, found = model(row, return_state=True, seq_idx=SEQ_IDX)
    assert_close(found, model(row[:, -PIECES[-1] :], return_state=True)[1])


def test_a_classifier_of_tokens_knows_sequences(generator):
    model = seeded(MambaClassifier, None, 3, head={"pooling": "none"})
    row = tokens(generator, batch=1, length=13)
    alone = torch.cat([model(one) for one in row.split(PIECES, dim=1)], dim=1)
    assert_close(model(row, seq_idx=SEQ_IDX), alone)


@pytest.mark.limit(
    "ssm",
    "Several sequences in a row (seq_idx) of a classifier that pools, or of a mixer that is no MambaBlock",
    "Its answer would mix the sequences. Use pooling none, or one sequence a row.",
)
def test_what_would_mix_sequences_is_refused(generator):
    row = tokens(generator, batch=1, length=13)
    with refused("pooling, with seq_idx = 'mean': none is needed"):
        seeded(MambaClassifier, None, 3)(row, seq_idx=SEQ_IDX)
    model = seeded(MambaBackbone)
    mixed = MambaBackbone(model.config, [LowRate(model.config, 1, 1)])
    with refused("LowRate: only MambaBlock keeps sequences of a row apart"):
        mixed(row, seq_idx=SEQ_IDX)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["auto", "torch"])
@pytest.mark.parametrize("sequences", [0, 4])
def test_the_operators_pass_the_own_check_of_torch(backend, sequences):
    inputs = Problem(batch=1, length=13, channels=4, states=3).inputs()
    if sequences:
        inputs["initial_state"] = torch.randn(4, 4, 3)
    given = [inputs[name] for name in NAMES]
    leaves = [one.detach().requires_grad_() for one in given]
    ops, options = torch.ops.ssm, (True, backend, SEQ_IDX, sequences)
    opcheck(ops.selective_scan.default, (*leaves, *options))
    if backend == "torch":
        opcheck(ops.selective_scan_saving.default, (*given, *options))
        out, last, saved = ops.selective_scan_saving.default(*given, *options)
        opcheck(ops.selective_scan_backward.default, (out, last, saved, *given, *options))


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_a_packed_row_goes_through_compilers_and_exports(generator):
    model, row = seeded(MambaLM), tokens(generator, batch=1, length=13)
    wanted, weights = model(row, seq_idx=SEQ_IDX), list(model.parameters())
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")(row, seq_idx=SEQ_IDX)
    assert_close(compiled, wanted)
    grads = (torch.autograd.grad(out.square().sum(), weights) for out in (compiled, wanted))
    assert_close(*grads)
    program = torch.export.export(model, (row,), {"seq_idx": SEQ_IDX})
    assert_close(program.module()(row, seq_idx=SEQ_IDX), wanted)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.limit(
    "ssm", "Packed rows (seq_idx) in an export to ONNX", "Its loop has no borders. Export for one sequence a row."
)
def test_a_packed_row_has_no_form_in_onnx(generator):
    pytest.importorskip("onnxscript")
    from lib.models.ssm.onnx import export_onnx

    class Packed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = seeded(MambaLM, layers=1)

        def forward(self, row, seq_idx):
            return self.model(row, seq_idx=seq_idx)

    with refused("a Packed has no form in ONNX (seq_idx: several sequences in a row"):
        export_onnx(Packed(), (tokens(generator, batch=1, length=13), SEQ_IDX))


def scan(batch=1, **options):
    return selective_scan_fn(**Problem(batch=batch, length=4, without=("initial_state",)).inputs(), **options)


@pytest.mark.limit(
    "ssm",
    "Numbers of sequences (seq_idx) that fall along a row or are negative, bounds (cu_seqlens) that are not 0, .., T",
    "It would be unclear which tokens belong together. Number the sequences of each row from 0 on.",
)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"seq_idx": torch.tensor([[0, 1, 0, 1]])},
            "seq_idx falls from 1 to 0 at token 2 of row 0: numbers that never",
        ),
        ({"seq_idx": torch.tensor([[-1, 0, 0, 1]])}, "seq_idx of -1: numbers of at least 0 are needed"),
        ({"seq_idx": torch.tensor([[0, 0, 1]])}, "seq_idx of shape (1, 3): (1, 4) is needed"),
        ({"seq_idx": torch.tensor([0, 0, 1, 1])}, "seq_idx of shape (4,): (1, 4) is needed"),
        ({"seq_idx": torch.zeros(1, 4)}, "seq_idx of torch.float32: torch.int32 or torch.int64 is needed"),
        ({"cu_seqlens": torch.tensor([1, 4])}, "cu_seqlens from 1 to 4: from 0 to 4 is needed, the number of tokens"),
        ({"cu_seqlens": torch.tensor([0, 2])}, "cu_seqlens from 0 to 2: from 0 to 4 is needed, the number of tokens"),
        ({"cu_seqlens": torch.tensor([0, 3, 2, 4])}, "cu_seqlens falls from 3 to 2: bounds that rise are needed"),
        ({"cu_seqlens": torch.tensor([0])}, "cu_seqlens of shape (1,): (S + 1,) with S + 1 >= 2 is needed"),
        ({"cu_seqlens": torch.tensor([0.0, 4.0])}, "cu_seqlens of torch.float32: torch.int32 or torch.int64 is needed"),
        ({"cu_seqlens": torch.tensor([0, 4]), "batch": 2}, "cu_seqlens with 2 rows: one row is needed"),
        (
            {"cu_seqlens": torch.tensor([0, 4]), "seq_idx": torch.zeros(1, 4, dtype=torch.int32)},
            "seq_idx and cu_seqlens are given: one of them is needed",
        ),
    ],
)
@pytest.mark.parametrize("backend", ["auto", "ref"])
def test_what_does_not_say_where_sequences_are_is_refused(options, message, backend):
    with refused(message):
        scan(**options, backend=backend)


def test_what_is_no_tensor_is_refused():
    with refused("seq_idx is of type list: a tensor is needed", TypeError):
        scan(seq_idx=[[0, 0, 1, 1]])
    with refused("cu_seqlens is of type tuple: a tensor is needed", TypeError):
        scan(cu_seqlens=(0, 4))


def test_initial_states_are_as_many_as_there_are_sequences():
    inputs = Problem(batch=1, length=4).inputs()
    with refused("initial_state must be (2, 16, 8), not (1, 16, 8)"):
        selective_scan_fn(**inputs, cu_seqlens=torch.tensor([0, 1, 4]))


@pytest.mark.parametrize(("places", "at"), [([1, 2, 0], 0), ([0, 1, 3], 2), ([0, 0, 2], 2), ([0, 2, 1], 1)])
def test_places_that_do_not_count_are_refused(places, at):
    with refused(f"position_ids at token {at} are [{places[at]}]: 0, where a sequence starts, or one more than"):
        seq_idx_of_positions(torch.tensor([places]))


def test_bounds_are_looked_at_before_they_become_numbers():
    with refused("cu_seqlens from 0 to 3: from 0 to 4 is needed"):
        seq_idx_of_lengths(torch.tensor([0, 3]), 4)
