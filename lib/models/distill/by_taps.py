"""Long kernels with fewer numbers, tap by tap: low-rank factors, and the lags that carry most.

Banks are (D, L), one kernel per channel, or dense (L, D, D): y[t] = sum over k of K[k] x[t-k], taps, outputs, inputs.
Symbols: `lib/__init__.py`.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from lib.kernels.autocast import off, single
from lib.kernels.eager import readable
from lib.models.checks import check_count, check_dtype, check_finite, check_labels, check_shape
from lib.models.distill.distilled import LONGEST, Distilled, Source, distilled, taken, unit
from lib.models.factors import low_rank


class LowRankConvolution(nn.Module):
    """A causal convolution whose kernels are sums of R basis kernels: left @ right.

    Only the basis kernels are transformed; the kernels' spectra are combined from theirs.

    left    (L, R), the basis kernels
    right   (R, D), their weights in every channel, or (R, D, D), from every input to every output
    raises  ValueError, quoting it, for one of another shape, or that is not finite
    """

    def __init__(
        self,
        left: Float[Tensor, "L R"],
        right: Float[Tensor, "R D"] | Float[Tensor, "R D D"],
        skip: Float[Tensor, " D"],
    ):
        super().__init__()
        check_shape("left", left, "L", "R")
        check_shape("skip", skip, "D")
        check_shape("right", right, left.shape[1], *[len(skip)] * (2 if right.ndim == 3 else 1))
        for name, values in {"left": left, "right": right, "skip": skip}.items():
            check_dtype(name, values, skip.dtype)
            check_finite(name, values)
        self.left, self.right, self.skip = (nn.Parameter(x.detach().clone()) for x in (left, right, skip))

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Convolve T tokens that follow zeros."""
        check_shape("input", x, "B", "T", len(self.skip))
        length, given = x.shape[1], x.dtype
        x, left = (one.to(single(x.dtype, self.skip.dtype)) for one in (x, self.left[:length]))
        points = length + len(left)
        basis, spectrum = torch.fft.rfft(left, points, dim=0), torch.fft.rfft(x, points, dim=1)
        right = self.right.to(basis.dtype)
        with off(x):
            if right.ndim == 2:
                spectrum = spectrum * (basis @ right)
            elif len(x) > 1:  # combined once for all sequences
                spectrum = torch.einsum("bfi,foi->bfo", spectrum, torch.einsum("fr,roi->foi", basis, right))
            else:
                spectrum = torch.einsum("bfi,fr,roi->bfo", spectrum, basis, right)
        return (torch.fft.irfft(spectrum, points, dim=1)[:, :length] + self.skip * x).to(given)

    def kernel(self, length: int) -> Float[Tensor, "D L"] | Float[Tensor, "L D D"]:
        """The kernel at lags 0 .. length-1, without the skip; zero after the last of its own taps."""
        left = F.pad(self.left[:length], (0, 0, 0, max(0, length - len(self.left))))
        kernel = torch.tensordot(left, self.right, 1)
        return kernel.T if kernel.ndim == 2 else kernel


class SparseConvolution(nn.Module):
    """A causal convolution that computes a few taps only, at the same lags in every channel.

    lags     S of them, each at least 0
    weight   (S, D), or (S, D, D) from every input to every output
    raises   ValueError, quoting it, for one of another shape, for a lag below 0, and for what is not finite
    """

    def __init__(
        self,
        lags: Int[Tensor, " S"],
        weight: Float[Tensor, "S D"] | Float[Tensor, "S D D"],
        skip: Float[Tensor, " D"],
    ):
        super().__init__()
        check_labels("lags", lags, LONGEST, "S")
        check_shape("skip", skip, "D")
        check_shape("weight", weight, len(lags), *[len(skip)] * (2 if weight.ndim == 3 else 1))
        for name, values in {"weight": weight, "skip": skip}.items():
            check_dtype(name, values, skip.dtype)
            check_finite(name, values)
        self.register_buffer("lags", lags.clone())
        self.weight, self.skip = (nn.Parameter(x.detach().clone()) for x in (weight, skip))

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Convolve T tokens that follow zeros."""
        check_shape("input", x, "B", "T", len(self.skip))
        given, x = x.dtype, x.to(single(x.dtype, self.skip.dtype))
        with off(x):
            return self._filtered(x, self.weight.to(x.dtype)).to(given)

    def _filtered(self, x: Float[Tensor, "B T D"], weights: Tensor) -> Float[Tensor, "B T D"]:
        out, length = self.skip * x, x.shape[1]
        if not readable(x, self.lags):  # where lags are no numbers yet: gathered
            return out + self._gathered(x, weights)
        for lag, weight in zip(self.lags.tolist(), weights, strict=True):
            if lag < length:
                before = x[:, : length - lag]
                out[:, lag:] += before * weight if weight.ndim == 1 else before @ weight.T
        return out

    def _gathered(self, x: Float[Tensor, "B T D"], weights: Tensor) -> Float[Tensor, "B T D"]:
        out, now = torch.zeros_like(x), torch.arange(x.shape[1], device=x.device)
        for lag, weight in zip(self.lags, weights, strict=True):
            before = torch.where((now >= lag)[:, None], x[:, (now - lag).clamp(min=0)], 0)
            out = out + (before * weight if weight.ndim == 1 else before @ weight.T)
        return out

    def kernel(self, length: int) -> Float[Tensor, "D L"] | Float[Tensor, "L D D"]:
        """The kernel at lags 0 .. length-1, without the skip."""
        within = self.lags < length
        kernel = self.weight.new_zeros(length, *self.weight.shape[1:])
        kernel = kernel.index_copy(0, self.lags[within], self.weight[within])
        return kernel.T if kernel.ndim == 2 else kernel


def truncated_svd(source: Source, rank: int, *, length: int = 1024) -> Distilled:
    """Reduce a bank to the best kernels of a rank: of the matrix of L taps by D channels, or by D D pairs of channels.

    Method: Eckart and Young (1936).

    source   a layer, a bank (D, L) or a dense kernel (L, D, D)
    rank     1 <= rank <= min(L, D) or min(L, D D): the squared error is the sum of the dropped squared singular values
    length   taps of a layer's kernel
    raises   ValueError, quoting the value, for a rank outside of that, and for an empty or non-finite kernel
    """
    kernel, skip = taken(source, length, dense=True)
    matrix = kernel.T if kernel.ndim == 2 else kernel.flatten(1)
    check_count("rank", rank, 1, min(matrix.shape))
    left, right = (factor.to(skip) for factor in low_rank(matrix, rank))
    module = LowRankConvolution(left, right if kernel.ndim == 2 else right.unflatten(1, kernel.shape[1:]), skip)
    return distilled("truncated_svd", rank, torch.full((len(skip),), rank), module, kernel)


def structured_sparse(source: Source, taps: int, *, length: int = 1024) -> Distilled:
    """Reduce a bank to the lags whose taps have the largest energy, summed over channels; all other taps are zero.

    source   a layer, a bank (D, L) or a dense kernel (L, D, D)
    taps     1 <= taps <= L lags are kept: the squared error is the sum of the other taps' squares
    length   taps of a layer's kernel
    raises   ValueError, quoting the value, for a number outside of that, and for an empty or non-finite kernel
    """
    kernel, skip = taken(source, length, dense=True)
    rows = kernel.T if kernel.ndim == 2 else kernel
    check_count("taps", taps, 1, len(rows))
    energy = (rows / unit(rows, tuple(range(rows.ndim)))).flatten(1).square().sum(1)
    lags = energy.topk(taps).indices.sort().values
    module = SparseConvolution(lags.to(skip.device), rows[lags].to(skip), skip)
    return distilled("structured_sparse", taps, torch.full((len(skip),), taps), module, kernel)
