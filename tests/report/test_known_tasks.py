"""What seeds share on a task is looked up by the label that readers see."""

import pytest

from lib.report import accuracy


@pytest.mark.parametrize(
    ("task", "split", "solved"),
    [
        ("MQAR", None, 0.9),
        ("selective copying, long", None, 0.9),
        ("selective copying", None, None),
        ("PLAID", (534, 535), None),
        ("PLAID, its own split", None, None),
        ("tagging, other forms", None, None),
        ("MQAR, T = 512", None, 0.9),
        ("MQARs", None, None),
    ],
)
def test_a_benchmark_is_known_by_its_label_whatever_follows(task, split, solved):
    row = accuracy.known(task)
    assert (row.split, row.solved) == (split, solved)
