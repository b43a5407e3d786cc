"""How a scan is cut up for a GPU: lanes, tiles, segments and slices of time, by its sizes.

The milliseconds that speak for a choice are at N = 16 in float32 and, unless they are called measured, a simulation's:
an H100's multiprocessor that issues the compiled instructions with their own stall counts and barriers. It came within
some 20 % of what a sketch of this scan took on an H100. They rank choices; `make bench` measures on the GPU at hand.
"""

from dataclasses import dataclass
from math import ceil

import torch

THREADS = 128  # of a block
MOST_STATES = 256
MOST_SEQUENCES = 65535  # what a grid's second axis holds
MOST_SEGMENTS = 64
UNIT = 32  # tokens, of which slices and segments are multiples: whole tiles
SPARSE = 128  # tokens between kept states, where tiles' own are computed once more
ROOMY = 160 * 2**10  # bytes of a multiprocessor's shared memory that hold three blocks of long tiles
MEMORY = 0.9  # of one input: what a training step may hold beside five of them, which are outputs and gradients
SCRATCH = 32 * 2**20  # bytes that a backward pass may hold in any case


@dataclass(frozen=True)
class Threads:
    """How a block's threads share the work.

    lanes, share   threads of a channel, and states of a thread
    tile           steps that are staged in shared memory; `unroll` of them are computed together
    tile_back      the same backward; the states of `sub` steps stay in registers
    blocks         of a multiprocessor, for which registers have to suffice: forward, backward
    """

    lanes: int
    share: int
    tile: int
    unroll: int
    tile_back: int
    sub: int
    blocks: int
    blocks_back: int

    @property
    def channels(self) -> int:
        """Channels of a block."""
        return THREADS // self.lanes


def threads(states: int, blocks: int, processors: int, shared_bytes: int, backward: bool) -> Threads:
    """Lanes and tiles for N states.

    blocks         of 32 channels that the scan has
    processors     multiprocessors of the device, of `shared_bytes` each

    Sixteen unrolled steps hide more waiting than four: 0.52 against 0.60 at (B, T, D) = (8, 8192, 1024), 0.19 against
    0.21 at (8, 2048, 1536). Four states a thread keep most warps at work; where blocks are plenty, eight save shuffles
    and loads: 0.35 against 0.37 at (64, 512, 1536). Backward, longer tiles wait less for each other (2.2 against 2.4),
    and where two blocks of a multiprocessor are all there is, sixteen steps in registers save recomputing (2.05).
    With more states, whose rows of B and C fill shared memory, tiles are shorter; so they are with a single state,
    where a block has a channel for each of its threads.
    """
    padded = 1 << (states - 1).bit_length()
    plenty, few = blocks >= 12 * processors, blocks <= 2 * processors
    lanes = min(4, padded) if padded <= 16 else min(32, padded // 4)
    if padded == 16 and plenty and not backward:
        lanes = 2
    share = padded // lanes
    tile_back = long_tile(states, shared_bytes) or (16 if padded <= 32 else 8 if padded <= 128 else 4)
    in_pairs = few and tile_back == 32
    return Threads(
        lanes=lanes,
        share=share,
        tile=16 if padded == 1 else 32 if padded <= 64 else 8,
        unroll=min(16, tile_back),
        tile_back=tile_back,
        sub=16 if in_pairs else min(8, tile_back, max(2, 32 // share)),
        blocks=4 if backward and share <= 4 else 3,
        blocks_back=2 if in_pairs or share > 4 else 3,
    )


def long_tile(states: int | torch.SymInt, shared_bytes: int) -> int:
    """32 where a multiprocessor holds three blocks with tiles of so many steps, else 0."""
    return 32 if 1 < states <= 16 and shared_bytes >= ROOMY else 0


def checkpoint(states: int | torch.SymInt, dtype: torch.dtype, shared_bytes: int) -> int:
    """Tokens between the states that a forward pass keeps.

    In float32 those of each long tile are kept: N / 32 numbers a token and channel, half an input at N = 16. They would
    be as large as an input in 16 bits, where fewer are kept, and the tiles' own are computed once more, slice by slice.
    """
    return (long_tile(states, shared_bytes) if dtype == torch.float32 else 0) or SPARSE


def segments(blocks: int, tokens: int, processors: int, at_once: int, backward: bool) -> tuple[int, int]:
    """Tokens of a segment, and how many segments there are: with few sequences, time is walked in parts side by side.

    blocks    that one walk through all tokens takes; `at_once` of them fit a multiprocessor

    A second walk finds what reaches each segment, so that one segment is best unless most of the device would idle:
    measured, 1.05 ms without and 0.47 with segments at (1, 16384, 2048). The model: a multiprocessor's rate is
    w / (w + 4) with w warps, each walk takes 64 steps to start, and two walks cost 1.65 (backward 1.25) times one.
    """

    def cost(count: int) -> float:
        span = ceil(ceil(tokens / count) / UNIT) * UNIT
        most = ceil(blocks * ceil(tokens / span) / processors)
        warps = min(most, at_once) * THREADS / 32
        return (1.0 if count == 1 else 1.25 if backward else 1.65) * most * (span + 64) * (warps + 4) / warps

    count = min(range(1, max(1, min(MOST_SEGMENTS, tokens // UNIT)) + 1), key=cost)
    span = ceil(ceil(tokens / count) / UNIT) * UNIT
    return span, ceil(tokens / span)


def slices(tokens: int, bytes_per_token: float, input_bytes: int, kept_bytes: float) -> list[tuple[int, int]]:
    """First and last token of the parts in which a backward pass walks, the last part first: they bound its memory.

    bytes_per_token   that kernels leave for each other; none where B and C do not vary
    kept_bytes        of states, beside the inputs and their gradients
    """
    most = int(max(MEMORY * input_bytes - kept_bytes, SCRATCH) / max(bytes_per_token, 1)) // UNIT * UNIT or UNIT
    length = ceil(ceil(tokens / ceil(tokens / most)) / UNIT) * UNIT
    return [(start, min(start + length, tokens)) for start in reversed(range(0, tokens, length))]
