"""Sequences packed into one row of a Mamba: what was reported of other projects, and what becomes of it here."""

import pytest
import torch
from packing import drawn, together
from scans import Problem
from seeded_mambas import seeded, tokens
from torch.nn import functional as F
from torch.testing import assert_close

from lib.models.ssm.convolution import convolution_silu
from lib.models.ssm.lengths import seq_idx_of_positions
from lib.models.ssm.mamba import MambaLM
from lib.models.ssm.scan import selective_scan_fn


@pytest.mark.reported("PrimeIntellect-ai/prime-rl", 3000)
def test_the_last_token_of_a_document_does_not_change_the_next_document(generator):
    """A packed row was one sequence to its convolution and to its scan, and documents saw those before them."""
    model, row = seeded(MambaLM), tokens(generator, batch=1, length=10)
    seq_idx = torch.tensor([[0] * 4 + [1] * 6], dtype=torch.int32)
    other = row.clone()
    other[0, 3] = (row[0, 3] + 1) % model.config.vocabulary
    before, after = (model(x, seq_idx=seq_idx) for x in (row, other))
    assert torch.equal(before[:, 4:], after[:, 4:])
    assert not torch.equal(before[:, 3], after[:, 3])
    assert not torch.equal(model(row)[:, 4:], model(other)[:, 4:])


@pytest.mark.reported("huggingface/transformers", 46588)
def test_the_convolution_stops_at_borders_too(generator):
    """Only attention knew of the samples in a row: a short convolution slid from each into the next one."""
    x, weight = (torch.randn(*shape, generator=generator) for shape in ((1, 9, 6), (6, 1, 4)))
    found = convolution_silu(x, weight, seq_idx=torch.tensor([[0, 0, 1, 2, 2, 2, 2, 2, 3]]))
    alone = [F.silu(F.conv1d(F.pad(one.mT, (3, 0)), weight, groups=6)).mT for one in x.split([2, 1, 5, 1], dim=1)]
    assert_close(found, torch.cat(alone, dim=1))


@pytest.mark.reported("Dao-AILab/causal-conv1d", 75)
def test_a_packed_row_goes_on_from_a_state(generator):
    """`seq_idx` and initial states excluded each other, so that a prompt could not be continued in a packed row."""
    model, row = seeded(MambaLM), tokens(generator, batch=1, length=12)
    seq_idx = torch.tensor([[0] * 7 + [1] * 5])
    whole, last = model(row, return_state=True, seq_idx=seq_idx)
    _, state = model(row[:, :3], return_state=True)
    rest, after = model(row[:, 3:], state, return_state=True, seq_idx=seq_idx[:, 3:])
    assert_close(rest, whole[:, 3:])
    assert_close(after, last)


@pytest.mark.reported("state-spaces/mamba", 434)
def test_positions_say_where_sequences_begin(generator):
    """Data loaders hand out positions within each sequence; a fork of the kernels had to be made to read them."""
    model, row = seeded(MambaLM), tokens(generator, batch=1, length=16)
    positions = torch.tensor([[*range(3), *range(5), *range(6), *range(2)]])
    packed = model(row, seq_idx=seq_idx_of_positions(positions))
    assert_close(packed, torch.cat([model(one) for one in row.split([3, 5, 6, 2], dim=1)], dim=1))


@pytest.mark.reported("fla-org/flash-linear-attention", 103)
def test_an_empty_sequence_among_the_bounds_is_harmless():
    """Bounds that named an empty sequence read memory of others and made NaN."""
    inputs = drawn(Problem(batch=1, length=9), 3)
    found = together(inputs, True, "auto", cu_seqlens=torch.tensor([0, 4, 4, 9]))
    assert all(x.isfinite().all() for x in found.values())
    for start, stop, number in ((0, 4, 0), (4, 9, 2)):
        one = {name: x[..., start:stop] if x.ndim > 2 and name != "initial_state" else x for name, x in inputs.items()}
        one["initial_state"] = inputs["initial_state"][[number]]
        out, last = selective_scan_fn(**one, delta_softplus=True, return_last_state=True)
        assert_close((found["out"][..., start:stop], found["last"][[number]]), (out, last))
    assert torch.equal(found["last"][1], inputs["initial_state"][1])
