"""BasicMotions: accelerometer and gyroscope of a wrist, a smooth task. Source: Clements (2016), as sktime ships it."""

import torch

from lib.tasks.data.sequences import Task, of_collection


def motions(generator: torch.Generator) -> Task:
    """BasicMotions: standing, walking, running or badminton, in 80 recordings of a wrist, 10 s each; half are the test.

    A token is three axes of an accelerometer and three of a gyroscope, ten times a second, each divided by its standard
    deviation.
    """
    from sktime.datasets import load_basic_motions

    recordings, activities = load_basic_motions(return_type="numpy3d")
    names = {name: number for number, name in enumerate(sorted(set(activities)))}
    x = torch.tensor(recordings, dtype=torch.float32).mT
    x = x / x.std((0, 1))
    return of_collection("motions", "smooth", x, torch.tensor([names[name] for name in activities]), 0.5, generator)
