"""The table at the end: ratios by hand, and records that are not there."""

import pytest

from lib.experiments.gpu.kept import Kept, Place
from lib.experiments.gpu.summary import ratios, table


def case(variant, *seconds, **at):
    return {"variant": variant, "seconds": list(seconds), "parameters": at}


def test_the_fastest_is_held_against_the_first_at_the_last_setting_of_each_part():
    cases = [
        case("base", 1.0, part="a", length=1),
        case("other", 9.0, part="a", length=1),
        case("base", 2.0, 4.0, 3.0, part="a", length=2),
        case("slow", 6.0, part="a", length=2),
        case("fast", 1.5, part="a", length=2),
        case("alone", 1.0, part="b"),
    ]
    assert list(ratios(cases)) == ["a: fast 0.50 × base (3e+03 ms)"]


def test_settings_that_alternate_are_told_apart():
    cases = [case(name, time * scale, part="a", after=scale) for name, time in (("x", 2), ("y", 1)) for scale in (1, 7)]
    assert list(ratios(cases)) == ["a: y 0.50 × x (1.4e+04 ms)"]


@pytest.mark.parametrize("cases", [[], [{"variant": "x", "parameters": {"part": "a"}, "error": "out of memory: 1"}]])
def test_without_times_there_is_no_ratio(cases):
    assert list(ratios(cases)) == []


def test_a_job_without_a_record_is_a_line(tmp_path):
    (head, line, whole) = table({"scan": Kept("0", "failed: no", 2.4)}, Place(tmp_path, "m")).splitlines()
    assert head.split() == ["job", "seconds", "cases", "failed", "no", "memory", "state"]
    assert line.split() == ["scan", "2", "0", "0", "0", "failed:", "no"]
    assert whole.split() == ["in", "all", "2"]
