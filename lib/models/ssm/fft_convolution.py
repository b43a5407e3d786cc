"""Causal convolutions with long kernels, by FFT; with a kernel that stays, its spectrum is computed once.

Symbols: `lib/__init__.py`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from scipy.fft import next_fast_len
from torch import Tensor, nn
from torch.nn import functional as F

from lib.kernels.autocast import off, single
from lib.models.checks import check_count, check_device, check_finite, check_shape, check_state


def causal_convolution(x: Float[Tensor, "B T D"], kernel: Float[Tensor, "D K"]) -> Float[Tensor, "B T D"]:
    """Convolve each channel with its kernel, causally, by FFT: the sum of kernel[k] x[t - k], padded with zeros.

    Transforms of half precision are in float32: an FFT in half precision overflows, where there is one at all.
    """
    length, points = x.shape[1], x.shape[1] + kernel.shape[1]
    wanted = torch.promote_types(x.dtype, kernel.dtype)
    x, kernel = (one.to(single(one.dtype)) for one in (x, kernel))
    spectrum = torch.fft.rfft(x, points, dim=1) * torch.fft.rfft(kernel, points).T
    return torch.fft.irfft(spectrum, points, dim=1)[:, :length].to(wanted)


@dataclass
class Tape:
    """Inputs in the order of time, S = 2 K, the first `written` of which are there."""

    values: Float[Tensor, "B D S"]
    written: int


class Window(NamedTuple):
    """The last K inputs of a stream, as a view of a tape; a later step writes behind it, never into it.

    So no token costs a copy of the K, but the one after which a tape is full, and one that goes on from a state from
    which another step went on before.
    """

    tape: Tape
    end: int
    taps: int

    @property
    def inputs(self) -> Float[Tensor, "B D K"]:
        """The inputs, the oldest first."""
        return self.tape.values[:, :, self.end - self.taps : self.end]

    def followed_by(self, x: Float[Tensor, "B D"]) -> "Window":
        """The window after one more input; this one does not change."""
        tape, end = self.tape, self.end
        if end < tape.written or end == tape.values.shape[2]:
            values = torch.empty_like(tape.values)
            end = self.taps - 1
            values[:, :, :end] = self.inputs[:, :, 1:]
            tape = Tape(values, end)
        tape.values[:, :, end] = x
        tape.written = end + 1
        return Window(tape, end + 1, self.taps)


class Precise(nn.Module):
    """A module whose buffers no cast to half precision reaches: rounded, they would be another system."""

    def _apply(self, fn, recurse=True):
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, held in before.items():
            now = self._buffers[name]
            if now.dtype in (torch.float16, torch.bfloat16):
                self._buffers[name] = held.to(now.device, single(held.dtype))
        return self


class CachedConvolution(Precise):
    """A causal convolution with fixed long kernels: what they cost when they are deployed without distillation.

    A sequence costs two FFTs, of a size that has only small prime factors. A token costs a product with the last K
    inputs. Both are computed in single precision at least, and given back in the input's.

    kernel   one per channel, at lags 0 .. K-1
    length   the most tokens of a sequence
    skip     weight of the input itself; none where left out
    raises   ValueError, quoting the value, for a length below 1, a kernel that is empty or not finite, a skip or an
             input of another shape
    """

    def __init__(self, kernel: Float[Tensor, "D K"], length: int, skip: Float[Tensor, " D"] | None = None):
        super().__init__()
        check_shape("kernel", kernel, "D", "K")
        check_finite("kernel", kernel)
        check_count("length", length)
        if skip is not None:
            check_shape("skip", skip, len(kernel))
        kernel = kernel.detach().to(single(kernel.dtype), copy=True)
        if skip is not None:
            kernel[:, 0] += skip.detach()
        self.length = length
        self.points = next_fast_len(length + min(length, kernel.shape[1]) - 1, real=True)
        spectrum = torch.fft.rfft(kernel[:, :length], self.points)
        self.register_buffer("spectrum", torch.view_as_real(spectrum))  # as pairs: `.to()` casts no complex buffer
        self.register_buffer("backwards", kernel.flip(1))  # as the last K inputs lie: the oldest first

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Convolve up to `length` tokens that follow zeros."""
        check_shape("input", x, "B", "T", len(self.backwards))
        check_device("input", x, self.backwards)
        return _filtered(x, torch.view_as_complex(self.spectrum), self.points, self.length)

    def step(self, x: Float[Tensor, "B D"], state: Window) -> tuple[Float[Tensor, "B D"], Window]:
        """Convolve one token; returns its output, and the last K inputs, it among them."""
        check_shape("input", x, "B", len(self.backwards))
        check_device("input", x, self.backwards)
        check_state(state, Window)
        check_shape("state", state.inputs, x.shape[0], *self.backwards.shape)
        state = state.followed_by(x)
        with off(x):
            out = torch.einsum("bdk,dk->bd", state.inputs.to(self.backwards.dtype), self.backwards)
        return out.to(_kept(x, out)), state

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Window:
        """The window before the first token: K inputs of zero."""
        dim, taps = self.backwards.shape
        like = {"device": device or self.backwards.device, "dtype": dtype or self.backwards.dtype}
        return Window(Tape(torch.zeros(batch, dim, 2 * taps, **like), taps), taps, taps)


class CachedLowRank(Precise):
    """A causal convolution with fixed kernels that are sums of R basis kernels: only the spectra of these are stored.

    A call combines them into the spectra of all channels, R multiply-adds a frequency and channel.

    left      (L, R), the basis kernels
    right     (R, D), their weights in every channel
    length    the most tokens of a sequence
    skip      weight of the input itself
    raises    ValueError, quoting the value, for a length below 1, shapes that do not fit, and what is not finite
    """

    def __init__(self, left: Float[Tensor, "L R"], right: Float[Tensor, "R D"], length: int, skip: Float[Tensor, " D"]):
        super().__init__()
        check_shape("left", left, "L", "R")
        check_shape("right", right, left.shape[1], "D")
        check_shape("skip", skip, right.shape[1])
        for name, values in {"left": left, "right": right, "skip": skip}.items():
            check_finite(name, values)
        check_count("length", length)
        self.length = length
        self.points = next_fast_len(length + min(length, len(left)) - 1, real=True)
        left, right, skip = (one.detach().to(single(one.dtype), copy=True) for one in (left, right, skip))
        spectrum = torch.fft.rfft(left[:length].T, self.points)
        self.register_buffer("spectrum", torch.view_as_real(spectrum))
        self.register_buffer("right", right)
        self.register_buffer("skip", skip)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Convolve up to `length` tokens that follow zeros."""
        check_shape("input", x, "B", "T", len(self.skip))
        check_device("input", x, self.skip)
        # A product of real matrices, twice: the weights are real.
        with off(x):
            combined = torch.einsum("rd,rfz->dfz", self.right, self.spectrum)
        spectrum = combined + F.pad(self.skip[:, None, None], (0, 1))
        return _filtered(x, torch.view_as_complex(spectrum), self.points, self.length)


def _filtered(
    x: Float[Tensor, "B T D"], spectrum: Complex[Tensor, "D F"], points: int, length: int
) -> Float[Tensor, "B T D"]:
    """The input times a transfer function; along the last axis transforms are fastest.

    raises   ValueError for more tokens than `length`
    """
    if x.shape[1] > length:
        raise ValueError(f"input of {x.shape[1]} tokens: at most length = {length} are possible")
    precise = single(x.dtype, spectrum.real.dtype)
    found = torch.fft.rfft(x.mT.contiguous().to(precise), points)
    found *= spectrum
    out = torch.fft.irfft(found, points)[..., : x.shape[1]].mT
    return out.to(_kept(x, out))


def _kept(x: Tensor, out: Tensor) -> torch.dtype:
    """The dtype of an output: the input's where that is half precision."""
    return x.dtype if x.dtype in (torch.float16, torch.bfloat16) else out.dtype
