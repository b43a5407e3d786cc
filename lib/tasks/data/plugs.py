"""PLAID: currents of household appliances, a fast task: a period has about three of the samples taken.

Source: Gao et al. (2014), as sktime ships it.
"""

import torch
from torch.nn import functional as F

from lib.models.checks import check_count
from lib.tasks.data.sequences import LONGEST, Task, of_collection


def plugs(generator: torch.Generator, length: int = 256) -> Task:
    """PLAID: which of 11 appliances draws a current; every second of the last 2 * length samples of 1,069 recordings.

    Half of them are the test. Five of the collection's 1,074 are in it twice, once in each half of its own split; their
    copies are left out.
    """
    check_count("length", length, 1, LONGEST)
    from sktime.datasets import load_plaid

    table, classes = load_plaid(return_type="nested_univ")
    rows = {}
    for series, appliance in zip(table.iloc[:, 0], classes, strict=True):
        current = torch.tensor(series.to_numpy(), dtype=torch.float32)[-2 * length :: 2]
        rows[tuple(series)] = F.pad(current / current.abs().max(), (length - len(current), 0)), int(appliance)
    currents, answers = zip(*rows.values(), strict=True)
    return of_collection("plugs", "fast", torch.stack(currents).unsqueeze(-1), torch.tensor(answers), 0.5, generator)
