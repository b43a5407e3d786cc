"""A record whose numbers can be checked by hand: the baseline takes 1, 2, 3 s, the variant twice as long."""

import pytest

from lib import records
from lib.experiments import base
from lib.profilers.profile import Profile
from lib.records import Case
from lib.report import frames, headlines
from lib.report.evidence import Evidence

BASE = [1.0, 2.0, 3.0]
LENGTHS = (8, 16, 32)


def case(variant, factor, part, length, seconds, **options):
    result = Profile(seconds=seconds, peak_bytes=options.get("peak", 300), flops=1000 * length)
    return Case.of(variant, result, part=part, factor=factor, batch=1, length=length, dim=4, input_bytes=100)


@pytest.fixture
def record():
    cases = [
        case("baseline", None, "factors", 16, BASE),
        case("r = 1", 1, "factors", 16, [3 * taken for taken in BASE], peak=900),
        case("r = 2", 2, "factors", 16, [2 * taken for taken in BASE], peak=700),
        Case.of(
            "r = 4",
            Profile(error="out of memory: needs much"),
            part="factors",
            factor=4,
            batch=1,
            length=16,
            dim=4,
            input_bytes=100,
        ),
    ]
    for length in LENGTHS:
        cases.append(case("baseline", None, "lengths", length, [length / 8.0] * 3))
        cases.append(case("r = 2", 2, "lengths", length, [(length / 8.0) ** 0.5] * 3))
    return records.new("toy", cases, seed=0, parameters={})


@pytest.fixture
def rows(record):
    return base.frame([record], {"factors": ("factor",), "lengths": ("length",)})


@pytest.fixture
def factors(rows):
    """The cases by factor, with ratios to the baseline."""
    return frames.ratios(frames.where(rows, part="factors"))


@pytest.fixture
def lengths(rows):
    return frames.where(rows, part="lengths")


@pytest.fixture(scope="session")
def found():
    """The headlines of the reference machine's records."""
    return headlines.headlines(Evidence())
