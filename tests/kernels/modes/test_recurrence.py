"""The recurrence of a bank of modes, in C++ and in torch, against its definition in float64, token after token."""

import os
import subprocess
import sys

import pytest
import torch
from recurrences import assert_rounded, exact
from torch import Tensor

from lib.kernels import build, modes
from lib.paths import ROOT

MISSING = modes.unavailable(torch.device("cpu"), torch.float32)
needs_native = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
every_version = pytest.mark.parametrize(
    "version", [pytest.param(modes.native, marks=needs_native), modes.chunked], ids=lambda version: version.__name__
)


def bank(batch=2, length=70, channels=21, count=7, seed=0) -> tuple[Tensor, ...]:
    """x, decay, weight, skip and a state; the slowest modes decay over a thousand tokens."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    rate = 10 ** (-3 * torch.rand(channels, count, generator=generator))
    decay = torch.polar(torch.exp(-rate), 3 * normal(channels, count))
    weight, state = (
        torch.view_as_complex(normal(*shape, 2)) for shape in ((channels, count), (batch, channels, count))
    )
    return normal(batch, length, channels), decay, weight, normal(channels), state


def defined(x, decay, weight, skip, state) -> tuple[Tensor, Tensor]:
    decay, weight, state = (z.to(torch.complex128) for z in (decay, weight, state))
    outputs = []
    for token in x.double().unbind(1):
        state = decay * state + token.unsqueeze(-1)
        outputs.append((weight * state).sum(-1).real + skip * token)
    return torch.stack(outputs, dim=1), state


def assert_defined(found: tuple[Tensor, Tensor], given: tuple[Tensor, ...]) -> None:
    """Outputs and last state are those of the definition up to their rounding in single precision."""
    wanted, (out, last) = exact(*given), found
    assert_rounded(out, wanted.out, wanted.out_noise)
    assert_rounded(last, wanted.last, wanted.last_noise)


@every_version
@pytest.mark.parametrize("length", [1, 2, 3, 31, 32, 33, 64, 65, 130])
def test_any_number_of_tokens_gives_the_definition(version, length):
    given = bank(length=length)
    assert_defined(version(*given), given)


@every_version
@pytest.mark.parametrize("channels", [1, 3, 4, 8, 15, 16, 17, 48])
def test_any_number_of_channels_gives_the_definition(version, channels):
    given = bank(channels=channels)
    assert_defined(version(*given), given)


@every_version
@pytest.mark.parametrize("count", [*range(1, 10), 16, 63, 64])
def test_any_number_of_modes_gives_the_definition(version, count):
    given = bank(count=count)
    assert_defined(version(*given), given)


@needs_native
@pytest.mark.parametrize(("batch", "channels", "count"), [(1, 1, 1), (2, 16, 3), (3, 21, 7), (1, 64, 64)])
def test_a_single_token_gives_the_definition(batch, channels, count):
    x, decay, weight, skip, state = bank(batch=batch, length=1, channels=channels, count=count)
    pairs = torch.view_as_real(decay), torch.view_as_real(weight)
    given = x[:, 0].contiguous(), *pairs, skip, state
    assert modes.can_step(*given)
    before = state.clone()
    out, last = modes.step(*given)
    assert_defined((out.unsqueeze(1), last), (x, decay, weight, skip, state))
    assert torch.equal(state, before)


@needs_native
def test_a_token_that_would_need_a_copy_goes_the_longer_way():
    x, decay, weight, skip, state = bank(batch=2, length=1)
    pairs = torch.view_as_real(decay), torch.view_as_real(weight)
    good = x[:, 0].contiguous()
    wide = torch.zeros(2, 42)[:, ::2]
    refused = [
        (wide, state),
        (good.double(), state),
        (good[:1], state),
        (good[:, :20], state),
        (good, state.to(torch.complex128)),
        (good, state.real),
        (good, state.conj()),
        (good, state.mT.contiguous().mT),
        (good, None),
        (good.clone().requires_grad_(), state),
        (good.to("meta"), state),
    ]
    assert modes.can_step(good, *pairs, skip, state)
    assert not [number for number, (x, h) in enumerate(refused) if modes.can_step(x, *pairs, skip, h)]


@every_version
def test_slow_modes_stay_accurate_over_thousands_of_tokens(version):
    given = bank(batch=1, length=4096, channels=3)
    assert_defined(version(*given), given)


def layouts() -> dict[str, Tensor]:
    wide = torch.randn(4, 80, 50, generator=torch.Generator().manual_seed(1))
    return {
        "slices": wide[::2, 5:75, 1:43:2],
        "time last": wide[:2, :70, :21].mT.contiguous().mT,
        "expanded": wide[:1, :70, :1].expand(2, 70, 21),
    }


@every_version
@pytest.mark.parametrize("layout", layouts())
def test_strides_do_not_matter(version, layout):
    given = (layouts()[layout], *bank()[1:])
    assert_defined(version(*given), given)


@every_version
@pytest.mark.parametrize("cut", [1, 20, 32, 64, 69])
def test_a_state_carries_on_over_a_cut(version, cut):
    x, *fixed, state = bank()
    head, middle = version(x[:, :cut], *fixed, state)
    tail, last = version(x[:, cut:], *fixed, middle)
    assert_defined((torch.cat([head, tail], dim=1), last), (x, *fixed, state))


@every_version
def test_what_is_given_is_left_as_it_is(version):
    given, kept = bank(), bank()
    version(*given)
    assert all(torch.equal(one, other) for one, other in zip(given, kept, strict=True))


@needs_native
@pytest.mark.parametrize("channels", [1, 40, 257])
def test_results_do_not_depend_on_the_number_of_threads(channels):
    given, before, found = bank(channels=channels), torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(modes.native(*given))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@needs_native
@pytest.mark.parametrize(("flags", "lanes"), [((), None), (("-mavx2", "-mfma"), 8), (("-mavx512f",), 16)])
def test_every_register_width_gives_the_definition(flags, lanes, monkeypatch):
    able = torch.backends.cpu.get_cpu_capability()
    if lanes and able not in {8: ("AVX2", "AVX512"), 16: ("AVX512",)}[lanes]:
        pytest.skip(f"this processor has {able}, not registers of {lanes} lanes")
    monkeypatch.setattr(build, "OPTIONAL", (flags,))
    try:
        build.library.cache_clear()
        modes._load.cache_clear()
        assert modes._load().lanes() in ((lanes,) if lanes else (4, 8, 16))
        given = bank()
        assert_defined(modes.native(*given), given)
    finally:
        build.library.cache_clear()
        modes._load.cache_clear()


@needs_native
def test_what_is_not_a_number_stays_in_its_channel_and_its_future():
    x, *fixed = bank()
    x[1, 40, 3] = torch.nan
    out, last = modes.native(x, *fixed)
    wrong = out.isnan().nonzero()
    assert torch.equal(wrong, torch.tensor([[1, t, 3] for t in range(40, 70)]))
    assert last.isnan().all(-1).nonzero().tolist() == [[1, 3]]


def chosen(monkeypatch, given) -> str:
    """Which version computes; here neither does, both give back what they took."""
    taken = []
    for name in ("native", "chunked"):
        monkeypatch.setattr(modes, name, lambda *given, name=name: taken.append(name) or (given[0], given[4]))
    modes.recurrence(*given)
    return taken[-1]


@needs_native
def test_the_compiled_version_is_taken_where_it_can_serve(monkeypatch):
    x, decay, weight, skip, state = bank()
    assert chosen(monkeypatch, (x, decay, weight, skip, state)) == "native"
    assert chosen(monkeypatch, (x, decay, weight, skip.requires_grad_(), state)) == "chunked"
    with torch.no_grad():
        assert chosen(monkeypatch, (x, decay, weight, skip, state)) == "native"
    assert chosen(monkeypatch, [tensor.detach().to("meta") for tensor in bank()]) == "chunked"
    assert chosen(monkeypatch, (x.double(), decay, weight, skip.detach(), state)) == "chunked"


def test_gradients_of_the_chunked_version_are_those_of_the_definition():
    given = [tensor.to(torch.complex128 if tensor.is_complex() else torch.float64) for tensor in bank(length=150)]
    gradients = []
    for version in (modes.chunked, defined):
        leaves = [tensor.clone().requires_grad_() for tensor in given]
        out, last = version(*leaves)
        gradients.append(torch.autograd.grad(out.square().sum() + last.abs().square().sum(), leaves))
    for one, other in zip(*gradients, strict=True):
        assert (one - other).abs().max() <= 1e-10 * other.abs().max()


@pytest.mark.slow
def test_without_a_compiler_torch_takes_over_with_one_warning(tmp_path):
    code = """
import torch, warnings
from lib.kernels import modes
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    x, decay = torch.ones(1, 3, 1), torch.full((1, 1), 0.5 + 0j)
    for _ in range(2):
        out, _ = modes.recurrence(x, decay, torch.ones_like(decay), torch.zeros(1), torch.zeros(1, 1, 1) + 0j)
print(out.flatten().tolist(), len(caught), *(str(w.message) for w in caught))
"""
    env = {**os.environ, "PATH": str(tmp_path), "CXX": "", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[1.0, 1.5, 1.75] 1 the recurrence of modes runs in torch, which is slower: no C++ ")
