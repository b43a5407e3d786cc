"""Code that a page shows is the code that runs, without its docstring."""

import pytest

from lib.models.mrss.low_rate import LowRate
from lib.report import source


def test_a_method_is_shown_with_its_place_and_without_its_docstring():
    text = source.show(LowRate.step).data
    assert text.startswith("`LowRate.step` in `lib/models/mrss/low_rate.py`:\n\n```python\ndef step(")
    assert "The state given is left as it is" not in text
    assert text.rstrip().endswith("```")


def test_several_objects_stand_one_below_the_other():
    text = source.show(LowRate.forward, LowRate.step).data
    assert text.count("```python") == 2


def test_what_is_too_long_or_has_no_source_is_refused():
    with pytest.raises(ValueError, match=r"LowRate: .* lines of code, at most 40"):
        source.show(LowRate)
    with pytest.raises(TypeError):
        source.show(3)
