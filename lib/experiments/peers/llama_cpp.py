"""The scan of llama.cpp on a CPU: `ggml_ssm_scan`, in the graph that its Mamba-1 builds around it.

llama.cpp adds the bias to the step sizes, scans (softplus is inside the operator), adds D u and gates by silu(z):
four operators of its own, on tensors in (B, T, D) memory. Its graph is built, and the inputs are laid into its memory,
before anything is timed. It computes no gradients.
Source of the order: `build_mamba_layer` in src/models/mamba-base.cpp of llama.cpp.
"""

import ctypes
import math
from collections.abc import Sequence
from ctypes import c_bool, c_int, c_int64, c_size_t, c_void_p

import torch
from torch import Tensor

from lib.experiments import peers
from lib.experiments.peers import ggml

FLOAT, INT = 0, 26  # ggml_type
SPARE = 2**24  # bytes for the graph, and 32 of them for every call


class Memory(ctypes.Structure):
    """`ggml_init_params`."""

    _fields_ = (("size", c_size_t), ("buffer", c_void_p), ("no_alloc", c_bool))


def llama_cpp(device: torch.device, wait: bool) -> peers.Peer:
    """The operator of Mamba-1, by as many threads as torch has.

    raises   Absent on a GPU, and where its library would have to be compiled and nobody waits; RuntimeError where it
             cannot be compiled; OSError where it cannot be loaded
    """
    if device.type != "cpu":
        raise peers.Absent("only its CPU scan is compared")
    if not (wait or ggml.folder().exists()):
        raise peers.Absent("left out: it is fetched and compiled for a minute")
    graphs = Graphs(*ggml.libraries())
    return peers.Peer(graphs.bind, gradients=False, counted=False)


class Graphs:
    """Graphs of one scan each."""

    def __init__(self, base: ctypes.CDLL, cpu: ctypes.CDLL):
        tensor, size = c_void_p, c_int64
        self._init = _typed(base.ggml_init, Memory)
        self._tensor = _typed(base.ggml_new_tensor_4d, tensor, c_int, size, size, size, size)
        self._reshape = _typed(base.ggml_reshape_4d, tensor, tensor, size, size, size, size)
        self._view = _typed(base.ggml_view_3d, tensor, tensor, size, size, size, c_size_t, c_size_t, c_size_t)
        self._data = _typed(base.ggml_get_data, tensor)
        self._scan = _typed(base.ggml_ssm_scan, *[tensor] * 8, size)
        self._add, self._mul, self._gate = (
            _typed(one, tensor, tensor, tensor) for one in (base.ggml_add, base.ggml_mul, base.ggml_swiglu_split)
        )
        self._graph, self._expand = (
            _typed(base.ggml_new_graph, tensor),
            _typed(base.ggml_build_forward_expand, tensor, tensor),
        )
        self._compute = _typed(cpu.ggml_graph_compute_with_ctx, tensor, tensor, c_int, result=c_int)
        cpu.ggml_cpu_init()

    def bind(self, inputs: Sequence[Tensor]) -> peers.Bound:
        """A call that computes the scan of these inputs into memory of its own; nothing is differentiated."""
        rows = [x.detach().transpose(1, 2) if x.ndim == 3 else x.detach() for x in inputs]  # (B, T, D), as in memory
        u, delta, A, B, C, D, z, bias = (x.float().contiguous() for x in rows)
        (batch, length, dim), states = u.shape, A.shape[1]
        state, ids = torch.zeros(batch, dim, states), torch.arange(batch, dtype=torch.int32)
        # The inputs; the biased steps, D u, its sum with y, the gated output; y and the last state in one.
        held = sum(x.nbytes for x in (u, delta, A, B, C, D, z, bias, ids)) + 5 * u.nbytes + 2 * state.nbytes
        memory = torch.empty(held + SPARE, dtype=torch.uint8)
        context = self._init(Memory(memory.nbytes, memory.data_ptr(), False))

        def put(x: Tensor, *shape: int) -> int:
            made = self._tensor(context, INT if x is ids else FLOAT, *shape, *[1] * (4 - len(shape)))
            ctypes.memmove(self._data(made), x.data_ptr(), x.nbytes)
            return made

        x, gate = put(u, dim, length, batch), put(z, dim, length, batch)
        steps = self._add(context, put(delta, dim, length, batch), put(bias, dim))
        scanned = self._scan(
            context,
            put(state, states, 1, dim, batch),
            self._reshape(context, x, 1, dim, length, batch),
            steps,
            put(A, states, dim),
            put(B, states, 1, length, batch),
            put(C, states, 1, length, batch),
            put(ids, batch),
            1,
        )
        y = self._view(context, scanned, dim, length, batch, 4 * dim, 4 * dim * length, 0)
        y = self._gate(context, gate, self._add(context, y, self._mul(context, x, put(D, dim))))
        graph = self._graph(context)
        self._expand(graph, y)
        result = (ctypes.c_float * math.prod(u.shape)).from_address(self._data(y))
        out = torch.frombuffer(result, dtype=torch.float32).view(u.shape).transpose(1, 2)
        threads = torch.get_num_threads()

        def call(memory: Tensor = memory) -> Tensor:  # which lives as long as what points into it
            if status := self._compute(context, graph, threads):
                raise RuntimeError(f"ggml_graph_compute_with_ctx returned {status}")
            return out

        return call, []


def _typed(function, *arguments: type, result: type = c_void_p):
    function.argtypes, function.restype = arguments, result
    return function
