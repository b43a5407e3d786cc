"""Operations of the operators that are defined below this folder, from what goes in; a multiply-add is two.

`lib.profilers.flops` finds them through `lib.names.OPERATORS`, where a row says who counts a space of `torch.ops`. An
operator without a formula is refused there, by name. A formula takes what the operator returned, then its arguments.
One operator is one count, by whichever backend it runs: how a backend orders its work is no operation of the scan.
"""

from torch import Tensor


def scan(result, u: Tensor, delta: Tensor, A: Tensor, *_) -> int:
    """Operations of a scan forward, each exponential as one.

    Per token, channel and state: delta A and its exponential, decay times state plus input times B, and C times the
    state, 7; per token and channel: delta times u, and D u, 3. Softplus and gate are element-wise and left result.
    """
    return u.numel() * (7 * A.shape[1] + 3)


def scan_backward(result, grad_out, grad_last, saved, u: Tensor, delta: Tensor, A: Tensor, *_) -> int:
    """Operations of a scan backward, states computed again.

    Per token, channel and state: delta A, its exponential and the state, 5; the state's gradient, carried back, 3; of
    C, delta u and B, 6; of the decay and through its exponential, 2; of delta and A, 4. Per token and channel:
    delta u, 1; delta's part and u's of its gradient, 3; u's and D's by D u, 4.
    """
    return u.numel() * (20 * A.shape[1] + 8)


def convolution(result, x: Tensor, past, weight: Tensor, *_) -> int:
    """Operations of a causal depthwise convolution: each sample that comes out sums over K taps; its SiLU is free."""
    return 2 * x.numel() * weight.shape[2]


def convolution_backward(result, grad, x: Tensor, past, weight: Tensor, *_) -> int:
    """Operations backward: the convolution again, for SiLU's gradient, then the gradients of x and of the weight."""
    return 3 * convolution(result, x, past, weight)


def modes(result, x: Tensor, decay: Tensor, *_) -> int:
    """Operations of a bank of modes, complex numbers in real arithmetic: six multiply-adds a sample and mode.

    On a CPU the same by whichever version runs it. Off it, and where a gradient is needed, there is no operator to see:
    the products of chunks are counted, which are more.
    """
    return 12 * x.numel() * decay.shape[1]


FORMULAS = {
    "ssm::selective_scan": scan,
    "ssm::selective_scan_saving": scan,
    "ssm::selective_scan_backward": scan_backward,
    "ssm::causal_convolution": convolution,
    "ssm::causal_convolution_backward": convolution_backward,
    "ssm::modes": modes,
}
