import pandas as pd

from lib.report import prose


def test_shared_indentation_goes():
    assert prose.say("\n    one\n    two\n").data == "one\ntwo"


def test_an_extent_names_both_ends_once():
    assert prose.extent(pd.Series([1.5, float("nan"), 2.061])) == "1.50× to 2.06×"
    assert prose.extent(pd.Series([1.5, 1.501])) == "1.50×"


def test_machines_are_named_beside_their_figures():
    frame = pd.DataFrame({"machine": ["A", "B"], "ratio": [1.5, 2.0]})
    assert prose.per_machine(frame, "ratio") == "1.50× on A and 2.00× on B"
    assert prose.per_machine(frame[:1], "ratio") == "1.50×"


def test_counts_read_as_words():
    assert [prose.out_of(count, 3) for count in (0, 1, 3)] == ["none of 3", "1 of 3", "all 3"]


def test_a_difference_stands_with_its_interval_in_points():
    row = pd.Series({"difference": -0.004, "difference_low": -0.01, "difference_high": 0.002})
    assert prose.points(row) == "−0.4 ± 0.6"
    assert prose.points(row * 0.01) == "+0.0 ± 0.0"


def test_an_extent_of_points_has_signs():
    assert prose.extent_of_points(pd.Series([-0.04, 0.003])) == "−4.0 to +0.3"
    assert prose.extent_of_points(pd.Series([0.01])) == "+1.0"
