"""Figures of the chapter on state space models: answers to an impulse, mixing matrices, growth, a loss curve."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.report import figures
from lib.report.evidence import Evidence
from lib.report.views.files import naming_files

SHOWN = 4  # states whose answers are drawn


def impulses(time: np.ndarray, answers: Mapping[str, np.ndarray]) -> Figure:
    """How the first states of several systems answer an impulse, a panel each.

    answers   name of a system -> its states (T, N) over time
    """
    figure, axes = plt.subplots(1, len(answers), figsize=(6.4, 2.6), layout="constrained")
    for ax, (name, answer) in zip(axes, answers.items(), strict=True):
        responses(ax, time, answer[:, :SHOWN], name)
    return figure


def mixings(matrices: Mapping[str, np.ndarray]) -> Figure:
    """Mixing matrices side by side, by their titles."""
    figure, axes = plt.subplots(1, len(matrices), figsize=(6.4, 3.2), layout="constrained")
    for ax, (title, matrix) in zip(axes, matrices.items(), strict=True):
        mixing(ax, matrix, title)
    return figure


@naming_files
def growth(evidence: Evidence) -> Figure:
    """Latency and peak memory of token mixing over length, with slopes of each mixer's longest sequences."""
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(6.4, 7.6), layout="constrained")
    figures.latency_over(upper, evidence.mixing_lengths, evidence.mixing_seconds)
    figures.memory_over(lower, evidence.mixing_lengths, evidence.mixing_memory)
    lengths = sorted(evidence.mixing_lengths["length"].unique())
    for ax in (upper, lower):  # every second one: all of them do not fit beside each other
        ax.set_xticks(lengths[::2], [f"{length:,}" for length in lengths[::2]])
    return figure


def training(losses: Sequence[float], held_out: float, chance: float) -> Figure:
    """The loss of a training, with two levels to compare it with."""
    figure, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    loss_curve(ax, losses, held_out, chance)
    return figure


def responses(ax: Axes, time: np.ndarray, answers: np.ndarray, name: str) -> Axes:
    """How the states (T, N) of a linear system answer an impulse, over time; a darker line is a higher state."""
    shades = sns.color_palette("crest", answers.shape[1])
    for answer, shade, dash in zip(answers.T, shades, ("-", "--", "-.", ":"), strict=False):
        ax.plot(time, answer, dash, color=shade, linewidth=1.4)
    ax.set(xlabel="time")
    ax.set_title(name, fontsize="medium")
    return ax


def mixing(ax: Axes, matrix: np.ndarray, title: str) -> Axes:
    """What each output token takes from each input token, signed, white where nothing."""
    bound = np.abs(matrix).max()
    ax.pcolormesh(matrix, cmap="RdBu", vmin=-bound, vmax=bound)  # squares, where an image would be a raster in print
    ax.set(xlabel="input token", ylabel="output token", aspect="equal")
    ax.invert_yaxis()
    ax.grid(visible=False)
    ax.set_title(title, fontsize="medium")
    return ax


def loss_curve(ax: Axes, losses: Sequence[float], held_out: float, chance: float) -> Axes:
    """Loss [nats per character] over training steps, its running mean, and two levels to compare it with."""
    ax.plot(losses, color="0.75", linewidth=0.8, label="each batch")
    width = max(1, len(losses) // 20)
    ax.plot(pd.Series(losses).rolling(width).mean(), label=f"mean of {width} batches")
    ax.axhline(held_out, color="C1", linestyle="--", label="text held out, at the end")
    ax.axhline(chance, color="C2", linestyle=":", label="characters by their frequency alone")
    ax.set(xlabel="training step", ylabel="loss [nats per character]")
    ax.legend(frameon=False, fontsize="small")
    return ax
