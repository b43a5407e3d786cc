"""PLAID in its published split: which appliance draws a current; a fast task.

Source: Gao et al. (2014), in the UCR archive of Dau et al. (2019), as sktime ships it.
"""

import torch

from lib.models.checks import check_count
from lib.tasks.data.archive import of_archive
from lib.tasks.data.sequences import LONGEST, Task


def plaid(generator: torch.Generator, length: int = 512) -> Task:
    """PLAID: which of 11 appliances draws a current, in the archive's 537 training and 537 test recordings.

    A recording has 100 to 1,344 samples, 300 in the median, and nearly repeats after five; its last `length` are kept,
    divided by its largest value. Five test recordings are also training recordings, as published: accuracies compare
    with the archive's. A fifth of the training recordings is held back.

    length   T
    raises   ValueError, quoting it, for a length below 1 or above 65,536
    """
    check_count("length", length, 1, LONGEST)
    return of_archive("plaid", "fast", "load_plaid", length, generator, each=True)
