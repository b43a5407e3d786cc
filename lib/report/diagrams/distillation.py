"""From a kernel to few modes: samples, Hankel matrix, singular values, and the modes that remain.

All that is drawn is computed from one kernel of three damped modes. Source: Kung (1978), as in the chapter.
"""

import numpy as np

from lib.report.diagrams.drawing import Drawing

LENGTH, SIDE = 15, 8
ALT = (
    "Four steps. A kernel of 15 samples as bars. Its Hankel matrix, whose entry in row i and column j is sample i + "
    "j, as a grid of 8 by 8 cells, equal along the rising diagonals. The singular values of that matrix as bars: the "
    "first few hold nearly all of it. The kernel again, beside what the largest two modes make of it."
)


def kernel() -> np.ndarray:
    """Samples of a sum of three damped modes, two of them large."""
    lags = np.arange(LENGTH)
    return 0.9**lags * np.cos(0.55 * lags) + 0.12 * 0.5**lags


def truncated(samples: np.ndarray, order: int) -> np.ndarray:
    """The kernel of `order` modes that Kung's method finds in the Hankel matrix of the samples."""
    rows = np.arange(SIDE)
    hankel = samples[rows[:, None] + rows[None]]
    left, values, right = np.linalg.svd(hankel)
    observed = left[:, :order] * np.sqrt(values[:order])
    reached = np.sqrt(values[:order])[:, None] * right[:order]
    step = np.linalg.pinv(observed[:-1]) @ observed[1:]
    states = [reached[:, 0]]
    for _ in samples[1:]:
        states.append(step @ states[-1])
    return np.stack(states) @ observed[0]


def draw() -> Drawing:
    """Two rows of two panels, joined by arrows."""
    made, samples = Drawing(452, "From a kernel to few modes"), kernel()
    made.text(12, 18, "1  a kernel: its response, lag by lag", anchor="start", bold=True)
    bars(made, 12, 30, samples)
    made.text(12, 140, "2  its Hankel matrix\n    entry i, j: sample i + j", anchor="start", bold=True)
    for row in range(SIDE):
        for column in range(SIDE):
            value = samples[row + column]
            strength = min(1, abs(value))
            kind = "full" if value >= 0 else "low"
            place = f'x="{12 + 24 * column}" y="{166 + 16 * row}" width="23" height="15"'
            made.shapes.append(f'<rect class="{kind}" {place} fill-opacity="{strength:.2f}" stroke-opacity="0.25"/>')
    made.text(250, 140, "3  its singular values,\n    one per mode", anchor="start", bold=True)
    rows = np.arange(SIDE)
    values = np.linalg.svd(samples[rows[:, None] + rows[None]], compute_uv=False)
    for number, value in enumerate(values):
        height = 120 * value / values[0]
        kind = "full" if number < 2 else "gone"
        made.box(256 + 26 * number, 292 - height, 20, max(height, 1.5), kind=kind)
    made.arrow((210, 230), (244, 230))
    made.text(12, 324, "4  the kernel and what two modes make of it", anchor="start", bold=True)
    bars(made, 12, 338, samples)
    points = [(12 + 30 * lag + 11, 388 - 40 * value) for lag, value in enumerate(truncated(samples, 2))]
    made.arrow(*points, head=False)
    made.note(12, 442, "bars: the kernel; line: two modes, that is two states of a recurrence")
    return made


def bars(made: Drawing, x: float, y: float, samples: np.ndarray) -> None:
    """Samples as bars around a line, 100 units high in all."""
    for lag, value in enumerate(samples):
        top = y + 50 - max(0, 40 * value)
        made.box(x + 30 * lag, top, 22, max(1.5, 40 * abs(value)), kind="full" if value >= 0 else "low")
