"""The one autograd function that every backend of the scan stands behind."""

from types import ModuleType

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class SelectiveScan(torch.autograd.Function):
    """Autograd's view of a backend: runs its forward, keeps inputs and checkpoints, and runs its backward."""

    @staticmethod
    def forward(ctx, kernel: ModuleType, delta_softplus: bool, keep: bool, *inputs: Tensor | None):
        """Output and last state."""
        out, last_state, saved = kernel.forward(*inputs, delta_softplus, keep)
        ctx.kernel, ctx.delta_softplus = kernel, delta_softplus
        ctx.save_for_backward(saved, *inputs)
        ctx.set_materialize_grads(False)  # an unused last state costs nothing
        return out, last_state

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_out: Tensor | None, grad_last: Tensor | None):
        """Gradients of the inputs."""
        saved, *inputs = ctx.saved_tensors
        if grad_out is None:
            grad_out = torch.zeros_like(inputs[0])
        return None, None, None, *ctx.kernel.backward(grad_out, grad_last, saved, *inputs, ctx.delta_softplus)
