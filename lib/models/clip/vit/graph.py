"""Weights of a vision transformer with a decoder for saliency, read from an ONNX graph and compared with its layout.

The graph is one that torch exported: tensors bear the modules' names, save those that the exporter has transposed or
cut into parts, which are known by the node that reads them. Symbols: `lib/__init__.py`.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

BACKBONE, DECODER = "backbone", "decoder"
CLASS, PATCHES = f"{BACKBONE}.embeddings.class_position", f"{BACKBONE}.embeddings.patch_positions"
READ_BY = {"Concat": CLASS, "Reshape": PATCHES}  # what reads a nameless tensor of the embeddings -> what it is
STEPS = 3  # of the decoder, each of which doubles the sides of its grid
ONCE_A_LAYER = ("Softmax", "Erf")  # its attention's, and that of the exact GELU
ONCE_A_STEP = ("ConvTranspose", "BatchNormalization", "Relu")
WORK = {*ONCE_A_LAYER, *ONCE_A_STEP, "MatMul", "Conv", "Sigmoid", "Resize", "Constant", "ConstantOfShape"} | {
    *("Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "ReduceMean", "LayerNormalization", "Equal", "Where", "Cast"),
    *("Shape", "Gather", "Slice", "Concat", "Expand", "Reshape", "Transpose", "Unsqueeze", "Identity"),
}


@dataclass(frozen=True)
class Sizes:
    """Sizes of a vision transformer and its decoder, as its graph has them; `eps` is that of its layer norms."""

    side: int
    patch: int
    width: int
    hidden: int
    layers: int
    heads: int
    positions: int
    channels: tuple[int, ...]
    eps: float


def read(path: str | Path) -> tuple[Sizes, dict[str, Tensor]]:
    """Sizes and weights of a graph, by the names that its modules had; linear weights as torch has them.

    raises   ModuleNotFoundError, with the command that helps, without the package onnx; ValueError, naming it, for a
             tensor that is missing, of another shape, or of no use, and for an operation or a number that is not known
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ModuleNotFoundError:
        raise ModuleNotFoundError('the package onnx reads the graph: pip install ".[vision]"') from None
    try:
        graph = onnx.load(str(path)).graph
    except DecodeError:
        raise ValueError(f"{path}: no ONNX graph") from None
    stored = {one.name: torch.from_numpy(onnx.numpy_helper.to_array(one).copy()) for one in graph.initializer}
    numbers = {
        node.output[0]: onnx.numpy_helper.to_array(node.attribute[0].t)
        for node in graph.node
        if node.op_type == "Constant"
    }
    weights = _named(graph, stored)
    sizes = _sizes(graph, weights, numbers)
    _check_work(graph, sizes)
    _check_tensors(weights, expected(sizes))
    return sizes, weights


def expected(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors of such a model."""
    width, hidden, patch = sizes.width, sizes.hidden, sizes.patch
    found = {
        f"{BACKBONE}.embeddings.cls_token": (1, 1, width),
        CLASS: (1, 1, width),
        PATCHES: (1, sizes.positions**2, width),
        f"{BACKBONE}.embeddings.patch_embeddings.projection.weight": (width, 3, patch, patch),
        f"{BACKBONE}.embeddings.patch_embeddings.projection.bias": (width,),
        **_norm(f"{BACKBONE}.layernorm", width),
    }
    for number in range(sizes.layers):
        layer = f"{BACKBONE}.encoder.layer.{number}"
        for name in ("attention.attention.query", "attention.attention.key", "attention.attention.value"):
            found |= _linear(f"{layer}.{name}", width, width)
        found |= _linear(f"{layer}.attention.output.dense", width, width)
        found |= _linear(f"{layer}.mlp.fc1", width, hidden) | _linear(f"{layer}.mlp.fc2", hidden, width)
        found |= {f"{layer}.layer_scale{half}.lambda1": (width,) for half in (1, 2)}
        found |= _norm(f"{layer}.norm1", width) | _norm(f"{layer}.norm2", width)
    for step, (before, after) in enumerate(zip((width, *sizes.channels), sizes.channels, strict=False), 1):
        found[f"{DECODER}.upconv{step}.weight"] = (before, after, 4, 4)
        found[f"{DECODER}.upconv{step}.bias"] = (after,)
        found |= _norm(f"{DECODER}.bn{step}", after)
        found |= {f"{DECODER}.bn{step}.{name}": (after,) for name in ("running_mean", "running_var")}
    found[f"{DECODER}.final_conv.weight"] = (1, sizes.channels[-1], 1, 1)
    return found | {f"{DECODER}.final_conv.bias": (1,)}


def _linear(name: str, before: int, after: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (after, before), f"{name}.bias": (after,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _named(graph: Any, stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by their modules' names."""
    readers = {name: [] for name in stored}
    for node in graph.node:
        for name in node.input:
            if name in readers:
                readers[name].append(node)
    found = {}
    for name, tensor in stored.items():
        if not readers[name]:
            raise ValueError(f"{name} of shape {tuple(tensor.shape)}: no operation of the graph reads it")
        node, known = readers[name][0], name
        scope = node.name.rsplit("/", 1)[0].lstrip("/").replace("/", ".")
        if not name.startswith((BACKBONE, DECODER)):
            if node.op_type == "MatMul":
                known, tensor = f"{scope}.weight", tensor.mT.contiguous()
            elif scope == f"{BACKBONE}.embeddings" and node.op_type in READ_BY:
                known = READ_BY[node.op_type]
            else:
                raise ValueError(f"{name} of shape {tuple(tensor.shape)}: not known, read by {node.name}")
        if known in found:
            raise ValueError(f"{name}: a second tensor for {known}")
        found[known] = tensor
    return found


def _sizes(graph: Any, weights: dict[str, Tensor], numbers: dict[str, Any]) -> Sizes:
    def shape(name: str, axis: int) -> int:
        if name not in weights:
            raise ValueError(f"{name}: the graph has no such tensor")
        return int(weights[name].shape[axis])

    patches = f"{BACKBONE}.embeddings.patch_embeddings.projection.weight"
    width, positions = shape(patches, 0), math.isqrt(shape(PATCHES, 1))
    layers = len({name.split(".")[3] for name in weights if name.startswith(f"{BACKBONE}.encoder.layer.")})
    heads, eps = set(), set()
    for node in graph.node:
        given = [numbers.get(name) for name in node.input]
        values = [value.item() for value in given if value is not None and value.size == 1]
        if node.op_type == "Concat" and "/attention/" in node.name and len(values) == 2:
            heads.add(tuple(values))
        elif node.op_type == "Add" and re.search(r"[nN]orm", node.name) and values:
            eps.update(values)
    sides = {axis.dim_value for axis in graph.input[0].type.tensor_type.shape.dim[2:]}
    for what, seen in (("numbers of heads, and their widths,", heads), ("layer norms' eps", eps), ("sides", sides)):
        if len(seen) != 1:
            raise ValueError(f"{what} of the graph are {sorted(seen)}: one is needed")
    (count, each), (least,), (side,) = heads.pop(), eps, sides
    if count * each != width:
        raise ValueError(f"{count} heads of {each} numbers in tokens of {width}")
    return Sizes(
        side=side,
        patch=shape(patches, 2),
        width=width,
        hidden=shape(f"{BACKBONE}.encoder.layer.0.mlp.fc1.bias", 0),
        layers=layers,
        heads=count,
        positions=positions,
        channels=tuple(shape(f"{DECODER}.upconv{step}.weight", 1) for step in range(1, STEPS + 1)),
        eps=float(least),
    )


def _check_work(graph: Any, sizes: Sizes) -> None:
    """Accept a graph whose operations are those of such a model."""
    counts = Counter(node.op_type for node in graph.node)
    if unknown := sorted(set(counts) - WORK):
        raise ValueError(f"operations of the graph that are not known: {', '.join(unknown)}")
    needed = dict.fromkeys(ONCE_A_LAYER, sizes.layers) | dict.fromkeys(ONCE_A_STEP, STEPS) | {"Conv": 2, "Sigmoid": 1}
    for kind, count in needed.items():
        if counts[kind] != count:
            raise ValueError(f"{counts[kind]} operations {kind} in the graph: {count} are needed")


def _check_tensors(weights: dict[str, Tensor], needed: dict[str, tuple[int, ...]]) -> None:
    """Accept just these tensors, in single precision."""
    if missing := sorted(needed.keys() - weights.keys()):
        raise ValueError(f"{missing[0]}: the graph has no such tensor")
    if unused := sorted(weights.keys() - needed.keys()):
        raise ValueError(f"{unused[0]} of shape {tuple(weights[unused[0]].shape)}: of no use to the model")
    for name, shape in needed.items():
        if tuple(weights[name].shape) != shape:
            raise ValueError(f"{name} of shape {tuple(weights[name].shape)}: {shape} is needed")
        if weights[name].dtype != torch.float32:
            raise ValueError(f"{name} of {weights[name].dtype}: torch.float32 is needed")
