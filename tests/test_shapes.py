"""The tests' hook checks all of lib: in every layer a wrong type is refused, and what pandas hands over is not."""

import numpy as np
import pandas as pd
import pytest
import torch
from jaxtyping import TypeCheckError

from lib import provenance, records
from lib.models.ssm.scan import selective_scan_fn
from lib.profilers import latency
from lib.report import statistics, units
from lib.tasks import zero_shot


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: provenance.slug(3),
        lambda: records.title("a machine"),
        lambda: latency.spread("fast"),
        lambda: units.times("twice"),
        lambda: zero_shot.predictions(torch.ones(2, 3), torch.ones(2, 4)),  # features of two widths
        lambda: selective_scan_fn(*[None] * 5),
    ],
)
def test_a_wrong_type_or_shape_is_refused_in_every_layer(wrong):
    with pytest.raises(TypeCheckError):
        wrong()


@pytest.mark.parametrize(
    "values", [[0.5, 1], np.array([0.5, 1.0]), pd.Series([0.5, 1.0])], ids=lambda one: type(one).__name__
)
def test_numbers_of_numpy_and_pandas_are_numbers(values):
    assert statistics.paired_t(values, np.float64(0.9)).mean == 0.75
    assert units.times(np.float64(1.5)) == units.times(1.5)
