"""Backends of the selective scan, behind one contract; `lib.models.ssm.scan` checks inputs and chooses.

A backend is a row of `lib.names.BACKENDS`, which stand in the order of their speed, and a file here, which defines

    unavailable(device, dtype) -> str | None
        why this backend cannot serve inputs of that device and dtype, or None
    about() -> str
        what it is, in a few words, for `explain_backend`
    forward(u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, keep, *packed)
        -> out, last_state, saved
        keep    whether a backward pass will follow
        saved   what `backward` needs beside the inputs, one contiguous tensor in A's dtype; None unless keep
    backward(grad_out, grad_last, saved, u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, *packed)
        -> gradients of u, delta, A, B, C, D, z, delta_bias, initial_state; None for an input that is None
    saved_shape(u, A, B, C) -> tuple[int, ...]
        the shape of `saved`, from these tensors' sizes and device alone: they may hold no data and lie on a device
        that is not there, and sizes may be symbols (`torch.SymInt`), so `-(-T // 32)`, `torch.sym_min`; no `math.ceil`

packed is nothing, or (seq_idx, sequences) where rows hold several sequences: a state passes from a token to the next
one only where seq_idx (B, T), int32 and contiguous, is the same. With sequences = 0, states are those of rows, as
without: the initial one of the first sequence, others start from zeros, and the last one of the last sequence. With
sequences = S, there is one row, seq_idx is from 0 to S - 1, and initial_state, last_state and grad_last are (S, D, N),
one for each sequence: the last state of one without tokens is its initial one, or zeros.

All that a backend is given holds its values in memory, see `lib.kernels.eager`: no lazy views, no fakes.
u, delta, z are (B, D, T) of any strides. B and C are (B, G, N, T), or (D, N) where they do not vary. A (D, N), D (D),
delta_bias (D), initial_state (B, D, N), static B and C, last_state and grad_last are in the state's dtype: float64
for float64 inputs, else float32. D, z, delta_bias, initial_state and grad_last may be None.
out and the gradients are in the dtype of u and of their inputs. In memory, out lies as `layout.like(u)`, the gradients
of u, delta, z, B and C as `layout.like` of these, all else is contiguous: `op.py` tells torch's compilers so.
"""
