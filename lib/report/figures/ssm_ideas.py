"""Figures of the ideas behind state space models: a spring, what a state remembers, two kernels on an image."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from lib.report.figures import DASHES


def spring(time: np.ndarray, exact: np.ndarray, steps: np.ndarray, held: np.ndarray) -> Figure:
    """Where a pulled spring is over time [s]: the closed form as a line, the recurrence's steps as dots.

    time, exact   of the line, exact in metres
    steps, held   of the dots
    """
    figure, ax = plt.subplots(figsize=(6.4, 2.6), layout="constrained")
    ax.plot(time, exact, label="closed form")
    ax.plot(steps, held, "o", color="C1", label="recurrence, step by step")
    ax.set(xlabel="time [s]", ylabel="position [m]")
    ax.set_title("The recurrence is exact at its steps", fontsize="medium")
    ax.legend(frameon=False, fontsize="small")
    return figure


def remembered(time: np.ndarray, signal: np.ndarray, rebuilt: Mapping[str, np.ndarray]) -> Figure:
    """A signal, and what states of several sizes rebuild of it.

    time      as a share of the past, zero is its beginning
    rebuilt   words -> the signal as rebuilt
    """
    figure, ax = plt.subplots(figsize=(6.4, 2.8), layout="constrained")
    ax.plot(time, signal, color="0.7", linewidth=3, label="the signal")
    for (words, again), dash in zip(rebuilt.items(), DASHES, strict=False):
        ax.plot(time, again, linestyle=dash, label=words)
    ax.set(xlabel="share of the past", ylabel="signal")
    ax.set_title("More states remember finer detail", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", ncols=2)
    return figure


def on_images(images: Mapping[str, np.ndarray]) -> Figure:
    """Images side by side, by their titles; darker is more, red is below zero."""
    figure, axes = plt.subplots(1, len(images), figsize=(6.4, 2.6), layout="constrained")
    most = max(np.abs(image).max() for image in images.values())
    for ax, (title, image) in zip(axes, images.items(), strict=True):
        ax.imshow(image, cmap="RdGy", vmin=-most, vmax=most)
        ax.set(xticks=[], yticks=[])
        ax.grid(visible=False)
        ax.set_title(title, fontsize="medium")
    return figure
