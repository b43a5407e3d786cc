"""Mamba in ONNX: the scan becomes the function `ssm.recurrence`, a loop of standard operators that every runtime knows.

A runtime with a scan of its own may replace that function by its domain and name. Needs onnx and onnxscript, which
torch.onnx asks for too. Symbols: `lib/__init__.py`; G groups of W = D / G channels.
"""

import math
from pathlib import Path
from typing import Any, Union

import torch
from onnxscript import DOUBLE, FLOAT, graph, opset18, script
from onnxscript.values import Opset
from torch import nn

from lib.kernels.scan import op as op  # registers the operator that is translated
from lib.models.checks import check_kind

DOMAIN = Opset("ssm", 1)
Float = Union[FLOAT, DOUBLE]  # noqa: UP007 - onnxscript knows the other form not yet


def export_onnx(model: nn.Module, inputs: tuple, path: str | Path | None = None, **options) -> Any:
    """The model as a torch.onnx.ONNXProgram, saved where a path is given.

    inputs    an example of its arguments
    options   of torch.onnx.export, such as `dynamic_shapes={"tokens": {1: torch.export.Dim("T", min=2)}}`
    raises    TypeError for what is no module; ValueError, in one line, for a model that ONNX has no form for, as it has
              none for complex states
    """
    check_kind("model", model, nn.Module)
    table = {torch.ops.ssm.selective_scan.default: translated} | options.pop("custom_translation_table", {})
    options = {"dynamo": True, "verbose": False, "custom_translation_table": table} | options
    try:
        program = torch.onnx.export(model, inputs, **options)
    except torch.onnx.OnnxExporterError as error:
        why: BaseException = error
        while why.__cause__ is not None:
            why = why.__cause__
        said, kind = " ".join(str(why).split()), type(model).__name__
        raise ValueError(
            f"a {kind} has no form in ONNX ({said}); what `deployed` makes of an S4D has one, modes have none"
        ) from error
    if path is not None:
        program.save(str(path))
    return program


@script(DOMAIN, default_opset=opset18)
def recurrence(
    state: Float, x: Float, step: Float, A: Float, B: Float, C: Float
) -> tuple[Float, Float]:  # torch.onnx counts outputs by it
    """Read-outs (B, G, W, T) and last state (B, G, W, N) of x, step (B, G, W, T), A (G, W, N), B, C (B, G, N, T)."""

    @graph()
    def token(before, x_t, step_t, B_t, C_t):
        wide = opset18.Unsqueeze(step_t, [3])
        inflow = wide * opset18.Unsqueeze(x_t, [3]) * opset18.Unsqueeze(B_t, [2])
        after = opset18.Exp(wide * A) * before + inflow
        y_t = opset18.ReduceSum(after * opset18.Unsqueeze(C_t, [2]), [3], keepdims=0)
        return after, y_t

    last, y = opset18.Scan(
        state, x, step, B, C, body=token, num_scan_inputs=4, scan_input_axes=[3, 3, 3, 3], scan_output_axes=[3]
    )  # fmt: skip
    return y, last


def translated(u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, backend, seq_idx=None, sequences=0):
    """Output and last state of `ssm::selective_scan` as values of the graph that torch.onnx builds."""
    if seq_idx is not None:
        raise ValueError("seq_idx: several sequences in a row; export a model of one sequence a row")
    op, (channels, states) = opset18, A.shape
    groups = math.lcm(*(channels if len(x.shape) == 2 else x.shape[1] for x in (B, C)))
    width = channels // groups
    x, step = (op.CastLike(value, A) for value in (u, delta))
    if delta_bias is not None:
        step = op.Add(step, op.Unsqueeze(delta_bias, [1]))
    if delta_softplus:
        step = op.Softplus(step)
    if initial_state is None:
        shape = op.Concat(op.Shape(u, start=0, end=1), op.Constant(value_ints=[groups, width, states]), axis=0)
        state = op.Expand(op.CastLike(op.Constant(value_float=0.0), A), shape)
    else:
        state = op.Reshape(initial_state, [0, groups, width, states])
    rows = (_rows(op, value, A, groups, u) for value in (B, C))
    parts = (op.Reshape(value, [0, groups, width, -1]) for value in (x, step))
    y, last = recurrence(state, *parts, op.Reshape(A, [groups, width, states]), *rows)
    y, last = op.Reshape(y, [0, channels, -1]), op.Reshape(last, [0, channels, states])
    if D is not None:
        y = op.Add(y, op.Mul(x, op.Unsqueeze(D, [1])))
    if z is not None:
        gate = op.CastLike(z, A)
        y = op.Mul(y, op.Mul(gate, op.Sigmoid(gate)))
    return op.CastLike(y, u), last


def _rows(op, matrix, A, groups: int, u):
    """B or C as (B, G, N, T): each row of it for each of the groups that share it, for all tokens if it is static."""
    states = A.shape[1]
    if len(matrix.shape) == 2:
        batch, length = (op.Shape(u, start=axis, end=axis + 1) for axis in (0, 2))
        shape = op.Concat(batch, op.Constant(value_ints=[groups, states]), length, axis=0)
        return op.Expand(op.Unsqueeze(matrix, [0, 3]), shape)
    matrix, own = op.CastLike(matrix, A), matrix.shape[1]
    if own == groups:
        return matrix
    return op.Reshape(op.Expand(op.Unsqueeze(matrix, [2]), [1, 1, groups // own, 1, 1]), [0, groups, states, -1])
