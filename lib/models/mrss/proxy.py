"""The original report's operator proxy: what a selective scan costs, without the scan.

A depthwise causal convolution stands for the long kernel, a pointwise projection for the channel
mixing, a ReLU for the nonlinearity. Nothing here selects; the real scan has its own module.
Symbols: `lib/__init__.py`. Equations: the chapter on multi-resolution scanning.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_count, check_counts, check_precision, check_shape

TAPS = 63  # of the original report's convolution
MOST = 2**16  # of channels, taps and the factor


class Branch(nn.Module):
    """Causal depthwise convolution, pointwise projection, ReLU: the original report's single-resolution baseline.

    dim      channels D >= 1
    taps     length K >= 1 of the convolution; output t sees inputs t-K+1 .. t
    raises   ValueError, quoting the shape, for an input that is not (B, T, D) with T >= 1
    source   the original report, section 6.2
    """

    factor = None  # of downsampling: there is one branch only

    def __init__(self, dim: int, taps: int = TAPS, *, generator: torch.Generator | None = None):
        super().__init__()
        check_count("dim", dim, 1, MOST)
        check_count("taps", taps, 1, MOST)
        self.taps = taps
        self.kernel = nn.Parameter(_uniform((dim, 1, taps), fan_in=taps, generator=generator))
        self.mix = nn.Parameter(_uniform((dim, dim), fan_in=dim, generator=generator))

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Filter and mix T tokens."""
        dim = len(self.mix)
        check_shape("input", x, "B", "T", dim)
        check_precision("input", x, self.mix)
        # The padded copy stays unnamed: a name would keep it alive to the end.
        y = F.conv1d(F.pad(x.transpose(1, 2), (self.taps - 1, 0)), self.kernel, groups=dim)
        return F.relu(F.linear(y.transpose(1, 2), self.mix))

    def peak_bytes(self, x: Float[Tensor, "B T D"]) -> int:
        """Bytes that a forward pass of x holds at its peak, x and the weights left out."""
        return peak_elements(*x.shape, factor=self.factor) * x.element_size()


class DualBranch(nn.Module):
    """The original report's MRSS proxy: a full-rate and a low-rate branch, fused by a gate per token and channel.

    factor           r >= 1; the low branch sees every r-th token, its output is held for r tokens
    detach_upsample  True repeats the original report's defect: upsampling without gradient, so that at r > 1 the low
                     branch is never trained
    source           the original report, section 5.1
    """

    def __init__(
        self,
        dim: int,
        factor: int,
        taps: int = TAPS,
        *,
        detach_upsample: bool = False,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_count("factor", factor, 1, MOST)
        self.factor = factor
        self.detach_upsample = detach_upsample
        self.high = Branch(dim, taps, generator=generator)
        self.low = Branch(dim, taps, generator=generator)
        self.gate = nn.Parameter(_uniform((dim, dim), fan_in=dim, generator=generator))
        self.gate_bias = nn.Parameter(_uniform((dim,), fan_in=dim, generator=generator))

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Filter and mix T tokens in both branches, and fuse them."""
        high = self.high(x)
        low = self.low(x[:, :: self.factor])
        held = low if self.factor == 1 else self._hold(low, x.shape[1])
        gate = F.linear(x, self.gate, self.gate_bias).sigmoid()
        return gate * held + (1 - gate) * high

    def peak_bytes(self, x: Float[Tensor, "B T D"]) -> int:
        """Bytes that a forward pass of x holds at its peak, x and the weights left out."""
        return peak_elements(*x.shape, factor=self.factor) * x.element_size()

    def _hold(self, low: Float[Tensor, "B t D"], length: int) -> Float[Tensor, "B T D"]:
        if self.detach_upsample:
            low = low.detach()
        return low.repeat_interleave(self.factor, dim=1)[:, :length]


def family(
    dim: int, factors: Iterable[int], taps: int = TAPS, *, generator: torch.Generator | None = None
) -> dict[str, Branch | DualBranch]:
    """Proxies to compare, keyed by figure label: the baseline, and one dual branch per factor, smallest first.

    raises   ValueError, quoting them, for factors that are none
    """
    factors = tuple(factors)
    if factors:
        check_counts("factors", factors, 1, MOST)
    blocks: dict[str, Branch | DualBranch] = {"baseline": Branch(dim, taps, generator=generator)}
    for factor in sorted(factors):
        blocks[f"r = {factor}"] = DualBranch(dim, factor, taps, generator=generator)
    return blocks


def flops(batch: int, length: int, dim: int, taps: int = TAPS, factor: int | None = None) -> int:
    """Operations of one forward pass, a multiply-add counted as two, element-wise work left out.

    factor   None for the baseline, r >= 1 for the dual branch
    source   closed form behind the FLOPs column of the original report's table in section 6.3
    """
    check_counts("batch, length, dim, taps", (batch, length, dim, taps))
    branch = 2 * batch * dim * (taps + dim)
    if factor is None:
        return length * branch
    check_count("factor", factor, 1, MOST)
    low_length = -(-length // factor)
    return (length + low_length) * branch + 2 * batch * length * dim**2


def peak_elements(batch: int, length: int, dim: int, factor: int | None = None) -> int:
    """Elements of intermediate tensors alive at the peak of one forward pass, input and weights left out.

    The baseline peaks at its end, with three activations of B*T*D: convolved, projected, rectified. The
    dual branch peaks in the fusion, with six, and one low-rate output more at r > 1.
    """
    check_counts("batch, length, dim", (batch, length, dim))
    full = batch * length * dim
    if factor is None:
        return 3 * full
    check_count("factor", factor, 1, MOST)
    held = 0 if factor == 1 else batch * -(-length // factor) * dim
    return 6 * full + held


def weights(dim: int, taps: int = TAPS, factor: int | None = None) -> int:
    """Number of parameters of the baseline or of a dual branch."""
    branch = dim * (taps + dim)
    return branch if factor is None else 2 * branch + dim * (dim + 1)


def least_elements(batch: int, length: int, dim: int, taps: int, factors: Iterable[int]) -> int:
    """Elements that every run of a family holds at least: the input, all weights, the baseline's peak."""
    every = sum(weights(dim, taps, factor) for factor in (None, *factors))
    return batch * length * dim + every + peak_elements(batch, length, dim)


def _uniform(shape: tuple[int, ...], fan_in: int, generator: torch.Generator | None) -> Tensor:
    bound = fan_in**-0.5  # the bound of nn.Conv1d and nn.Linear, which the original report used
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)
