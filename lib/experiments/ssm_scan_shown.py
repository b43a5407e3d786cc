"""The scan's benchmark on a terminal: medians, the best peer of each series, memory, the floor, who is absent."""

import pandas as pd

from lib.names import PEERS


def show(rows: pd.DataFrame) -> None:
    """Print medians, in brackets how many times as long the best peer of the series takes; memory; the floor.

    rows   the frame of one record of `lib.experiments.ssm_scan`
    """
    for part in ("forward", "training", "short training"):
        if not (timed := rows[rows["part"] == part]).empty:
            _timings(part, timed)
    print("\nmemory of a training step beyond inputs, output and gradients")
    for row in rows[rows["part"] == "memory"].itertuples():
        print(f"{row.variant:24}{row.memory_bytes / 2**20:>18.1f} MiB")
    for row in rows[rows["part"] == "floor"].itertuples():
        alone = rows[(rows["part"] == "forward") & (rows["threads"] == 1) & (rows["after"] == "itself")].iloc[0]
        print(f"\nexponentials of the forward pass alone, one thread: {1e3 * row.seconds:.1f} ms", end="; ")
        print(f"the scan by {alone.variant} runs at {row.seconds / alone.seconds:.0%} of that speed")
    _steps(rows[rows["part"] == "step"])
    print()
    for row in rows[rows["part"] == "absent"].itertuples():
        print(f"{row.variant}, {row.of}: {row.error}")


def _timings(part: str, timed: pd.DataFrame) -> None:
    series = ["threads", "keep_freed", "after"]
    wide = timed.pivot(index="variant", columns=series, values="seconds")
    wide = wide.loc[timed["variant"].unique(), timed[series].drop_duplicates().itertuples(index=False)]
    best = wide[wide.index.isin([row.label for row in PEERS.values()])].min()
    first = timed.iloc[0]
    sizes = ", ".join(f"{first[name]:.0f}" for name in ("batch", "length", "dim", "states"))
    print(f"\n{part}, (B, T, D, N) = ({sizes}), float32, median [best peer / this]")
    print(f"{'':24}" + "".join(f"{_heading(*column):>24}" for column in wide))
    for name, line in wide.iterrows():
        cells = (f"{1e3 * one:.1f} ms [{peer / one:5.1f}]" for one, peer in zip(line, best, strict=True))
        print(f"{name:24}" + "".join(f"{text:>24}" for text in cells))


def _steps(rows: pd.DataFrame) -> None:
    """Training steps of a model; in brackets how many times as long each takes as ours."""
    for (length, precision), timed in rows.groupby(["length", "precision"], sort=False):
        first, ours = timed.iloc[0], timed.loc[timed["variant"] == "our model", "seconds"].max()
        sizes = f"{first.batch:.0f}, {length:.0f}, {first.dim:.0f}, {first.layers:.0f}"
        print(
            f"\ntraining step of a model, (B, T, D, layers) = ({sizes}), {precision}, median [this / our model], peak"
        )
        for row in timed.itertuples():
            seconds, peak = f"{1e3 * row.seconds:.1f} ms", f"{row.memory_bytes / 2**20:.0f} MiB"
            print(f"{row.variant:32}{seconds:>12} [{row.seconds / ours:5.2f}]{peak:>12}")


def _heading(threads: float, keep: bool, after: str) -> str:
    plural = "" if threads == 1 else "s"
    return f"{threads:.0f} thread{plural}{', kept' if keep else ''}{', first' if after == 'another' else ''}"
