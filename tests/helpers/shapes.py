"""The checker of annotations, shapes among them, that the tests put on every function of lib."""

from typing import Any, Self

import numpy as np
from beartype import BeartypeConf, FrozenDict, beartype
from pydantic import ValidationInfo

CHECKED = beartype(
    conf=BeartypeConf(
        hint_overrides=FrozenDict(
            {
                # As for type checkers an int is a float; the cells of a frame are numbers of numpy.
                bool: bool | np.bool_,
                int: int | np.integer,
                float: float | int | np.floating | np.integer,
                Self: Any,  # the hook hands over functions, not classes: beartype cannot know whose self it is
                ValidationInfo: Any,  # a protocol of pydantic's that refuses `isinstance`
            }
        ),
    )
)
