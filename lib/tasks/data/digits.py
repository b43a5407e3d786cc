"""Handwritten digits as sequences: a smooth task. Source: scikit-learn's copy of Alpaydin and Kaynak (1998)."""

import torch
from torch.nn import functional as F

from lib.models.checks import check_count
from lib.tasks.data.sequences import Task, of_collection


def digits(generator: torch.Generator, side: int = 16) -> Task:
    """Digits: 1,797 images of 8 x 8 pixels from scikit-learn, enlarged to side x side; a quarter is the test."""
    check_count("side", side, 1, 256)
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    x = F.interpolate(images, size=(side, side), mode="bilinear").flatten(1).unsqueeze(-1)
    return of_collection("digits", "smooth", x, torch.tensor(data.target), 0.25, generator)
