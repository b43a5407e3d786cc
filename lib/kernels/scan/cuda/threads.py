"""How a scan is cut up for a GPU: lanes, tiles, segments and slices of time, by its sizes.

The times that speak for a choice are an H100's, of kernels with these settings at N = 16; `make bench` measures anew.
"""

from dataclasses import dataclass
from math import ceil

THREADS = 128  # of a block
CHECKPOINT = 128  # tokens between kept states: N / 128 numbers a token and channel, 1 / 8 of an input at N = 16
MOST_STATES = 256
MOST_SEQUENCES = 65535  # what a grid's second axis holds
SCRATCH = 0.6, 32 * 2**20  # of a backward pass: this share of one input, or so many bytes where that is more
MOST_SEGMENTS = 64
UNIT = 32  # tokens, of which slices and segments are multiples: whole tiles


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


def threads(states: int, blocks: int, processors: int, backward: bool) -> Threads:
    """Lanes and tiles for N states.

    blocks       of 32 channels that the scan has
    processors   multiprocessors of the device

    Four states a thread leave registers for four blocks a multiprocessor: 0.65 ms forward at (B, T, D) = (8, 8192,
    1024), against 0.82 with eight. Where blocks are plenty, eight save shuffles and loads: 0.36 against 0.40 ms at
    (64, 512, 1536). Where they are few, eight unrolled steps hide more waiting: 0.64 against 0.65. Tiles become shorter
    with more states, whose rows of B and C fill shared memory: it has to hold within 48 KiB.
    """
    padded = 1 << (states - 1).bit_length()
    plenty, few = blocks >= 12 * processors, blocks <= 3 * processors
    lanes = min(4, padded) if padded <= 16 else min(32, padded // 4)
    tile, unroll = (32 if padded <= 64 else 8), 4
    if padded == 16 and not backward:
        if plenty:
            lanes, tile = 2, 16
        elif few:
            unroll = 8
    share = padded // lanes
    tile_back = 16 if padded <= 32 else 8 if padded <= 128 else 4
    return Threads(
        lanes=lanes,
        share=share,
        tile=tile,
        unroll=min(unroll, tile_back),
        tile_back=tile_back,
        sub=min(8, tile_back, max(2, 32 // share)),
        blocks=4 if share <= 4 and unroll == 4 else 3,
        blocks_back=3 if share <= 4 else 2,
    )


def segments(blocks: int, tokens: int, processors: int, at_once: int, backward: bool) -> tuple[int, int]:
    """Tokens of a segment, and how many segments there are: with few sequences, time is walked in parts side by side.

    blocks    that one walk through all tokens takes; `at_once` of them fit a multiprocessor

    A second walk finds what reaches each segment, so that one segment is best unless most of the device would idle:
    1.05 ms without and 0.47 with segments at (1, 16384, 2048). The model: a multiprocessor's rate is w / (w + 4) with w
    warps, each walk takes 64 steps to start, and two walks cost 1.65 (backward 1.25) times one.
    """

    def cost(count: int) -> float:
        span = ceil(ceil(tokens / count) / UNIT) * UNIT
        most = ceil(blocks * ceil(tokens / span) / processors)
        warps = min(most, at_once) * THREADS / 32
        return (1.0 if count == 1 else 1.25 if backward else 1.65) * most * (span + 64) * (warps + 4) / warps

    count = min(range(1, max(1, min(MOST_SEGMENTS, tokens // UNIT)) + 1), key=cost)
    span = ceil(ceil(tokens / count) / UNIT) * UNIT
    return span, ceil(tokens / span)


def slices(tokens: int, bytes_per_token: float, input_bytes: int) -> list[tuple[int, int]]:
    """First and last token of the parts in which a backward pass walks, the last part first: they bound its memory."""
    share, least = SCRATCH
    most = max(UNIT, int(max(share * input_bytes, least) / bytes_per_token))
    length = ceil(ceil(tokens / ceil(tokens / most)) / UNIT) * UNIT
    return [(start, min(start + length, tokens)) for start in reversed(range(0, tokens, length))]
