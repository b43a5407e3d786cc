"""BasicMotions in its published split: what a wrist does, by accelerometer and gyroscope; a smooth task.

Source: Clements (2016), in the UEA archive of Bagnall et al. (2018), as sktime ships it.
"""

import torch

from lib.tasks.data.archive import of_archive
from lib.tasks.data.sequences import Task


def basic_motions(generator: torch.Generator) -> Task:
    """BasicMotions: standing, walking, running or badminton, in the archive's 40 training and 40 test recordings.

    A token is three axes of an accelerometer and three of a gyroscope, ten times a second for 10 s. Two of the ten
    training recordings of each activity are held back.
    """
    return of_archive("basic_motions", "smooth", "load_basic_motions", 100, generator)
