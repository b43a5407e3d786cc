"""Causal convolutions with long kernels, by FFT; with a kernel that stays, its spectrum is computed once.

Symbols: `lib/__init__.py`.
"""

import torch
from jaxtyping import Complex, Float
from scipy.fft import next_fast_len
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_shape


def causal_convolution(x: Float[Tensor, "B T D"], kernel: Float[Tensor, "D K"]) -> Float[Tensor, "B T D"]:
    """The sum over k of kernel[k] x[t - k] in each channel, by FFT; padded with zeros, so that nothing wraps round."""
    length, points = x.shape[1], x.shape[1] + kernel.shape[1]
    spectrum = torch.fft.rfft(x, points, dim=1) * torch.fft.rfft(kernel, points).T
    return torch.fft.irfft(spectrum, points, dim=1)[:, :length]


class CachedConvolution(nn.Module):
    """A convolution that does not learn: what a long kernel costs when it is deployed without distillation.

    A sequence costs two FFTs, of a size that has only small prime factors. A token costs a product with the last K
    inputs, kept in a ring.

    kernel   one per channel, at lags 0 .. K-1
    length   the most tokens of a sequence
    skip     weight of the input itself; none where left out
    raises   ValueError, quoting the value, for a length below 1, a kernel that is empty or not finite, a skip or an
             input of another shape
    """

    def __init__(self, kernel: Float[Tensor, "D K"], length: int, skip: Float[Tensor, " D"] | None = None):
        super().__init__()
        check_shape("kernel", kernel, "D", "K")
        if not kernel.isfinite().all():
            raise ValueError("kernel: all of its values must be finite")
        if length < 1:
            raise ValueError(f"length = {length}: at least 1 is needed")
        if skip is not None:
            check_shape("skip", skip, len(kernel))
        kernel = kernel.detach().clone()
        if skip is not None:
            kernel[:, 0] += skip.detach()
        self.length = length
        self.points = next_fast_len(length + min(length, kernel.shape[1]) - 1, real=True)
        spectrum = torch.fft.rfft(kernel[:, :length], self.points)
        self.register_buffer("spectrum", torch.view_as_real(spectrum))  # as pairs: `.to()` casts no complex buffer
        self.register_buffer("twice", kernel.flip(1).repeat(1, 2))  # from any lag on, the kernel backwards in a circle

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Convolve up to `length` tokens, after zeros."""
        check_shape("input", x, "B", "T", len(self.twice))
        return _filtered(x, torch.view_as_complex(self.spectrum), self.points, self.length)

    def step(
        self, state: tuple[Float[Tensor, "B D K"], int], x: Float[Tensor, "B D"]
    ) -> tuple[Float[Tensor, "B D"], tuple[Float[Tensor, "B D K"], int]]:
        """One token: its output and the new state. The ring of the state given is written into: a copy would cost more.

        state    the last K inputs, and where among them the next one goes
        """
        ring, place = state
        check_shape("input", x, "B", len(self.twice))
        taps = self.twice.shape[1] // 2
        check_shape("state", ring, len(x), len(self.twice), taps)
        ring[:, :, place] = x
        first = taps - 1 - place
        y = torch.einsum("bdk,dk->bd", ring, self.twice[:, first : first + taps])
        return y, (ring, (place + 1) % taps)

    def initial_state(self, batch: int) -> tuple[Float[Tensor, "B D K"], int]:
        """A ring of zeros."""
        return self.twice.new_zeros(batch, len(self.twice), self.twice.shape[1] // 2), 0


class CachedLowRank(nn.Module):
    """The same with kernels that are sums of R basis kernels: only the spectra of these are stored.

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
            if not values.isfinite().all():
                raise ValueError(f"{name}: all of its values must be finite")
        if length < 1:
            raise ValueError(f"length = {length}: at least 1 is needed")
        self.length = length
        self.points = next_fast_len(length + min(length, len(left)) - 1, real=True)
        spectrum = torch.fft.rfft(left.detach()[:length].T, self.points)
        self.register_buffer("spectrum", torch.view_as_real(spectrum))
        self.register_buffer("right", right.detach().clone())
        self.register_buffer("skip", skip.detach().clone())

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Convolve up to `length` tokens, after zeros."""
        check_shape("input", x, "B", "T", len(self.skip))
        # A product of real matrices, twice: the weights are real.
        spectrum = torch.einsum("rd,rfz->dfz", self.right, self.spectrum) + F.pad(self.skip[:, None, None], (0, 1))
        return _filtered(x, torch.view_as_complex(spectrum), self.points, self.length)


def _filtered(
    x: Float[Tensor, "B T D"], spectrum: Complex[Tensor, "D F"], points: int, length: int
) -> Float[Tensor, "B T D"]:
    """The input times a transfer function; along the last axis transforms are fastest.

    raises   ValueError for more tokens than `length`
    """
    if x.shape[1] > length:
        raise ValueError(f"input of {x.shape[1]} tokens: at most length = {length} are possible")
    found = torch.fft.rfft(x.mT.contiguous(), points)
    found *= spectrum
    return torch.fft.irfft(found, points)[..., : x.shape[1]].mT
