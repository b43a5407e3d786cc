"""Cases: numbers that cannot be are refused by the name of their field, where they are made and where they are read."""

import pytest

from lib.records.cases import Case, check_together

TIMED = {"seconds": [0.1, 0.2], "peak_bytes": 8, "flops": 16}
JUDGED = {"accuracies": {0: 0.5, 1: 0.25}}


def case(**fields):
    return Case(**{"variant": "baseline", "parameters": {"length": 8}} | fields)


NO_SENSE = [
    ("variant", {"variant": ""}),
    ("variant", {"variant": "two\nlines"}),
    ("parameters", {"parameters": {"keep": float("nan")}}),
    ("parameters", {"parameters": {"keep": float("inf")}}),
    ("parameters", {"parameters": {"length": 10**40}}),
    ("parameters", {"parameters": {"": 1}}),
    ("parameters", {"parameters": {"sizes": [1, 2]}}),
    ("seconds", {"seconds": [0.1, -0.2]}),
    ("seconds", {"seconds": [0.1, 0.0]}),
    ("seconds", {"seconds": [-0.0]}),
    ("seconds", {"seconds": [float("nan")]}),
    ("seconds", {"seconds": [float("inf")]}),
    ("seconds", {"seconds": [1e12]}),
    ("seconds", {"seconds": ["0.1"]}),
    ("seconds", {"seconds": [True]}),
    ("seconds", {"seconds": [None]}),
    ("seconds", {"seconds": 0.1}),
    ("seconds", {"seconds": [0.1], **JUDGED}),
    ("peak_bytes", {"peak_bytes": -8}),
    ("peak_bytes", {"peak_bytes": 8.5}),
    ("peak_bytes", {"peak_bytes": 2**63}),
    ("flops", {"flops": -1}),
    ("flops", {"flops": 16.0}),
    ("flops", {"flops": "16"}),
    ("flops", {"flops": True}),
    ("flops", {"flops": 10**400}),
    ("accuracies", {"accuracies": {0: 7.0}}),
    ("accuracies", {"accuracies": {0: 70}}),
    ("accuracies", {"accuracies": {0: -0.1}}),
    ("accuracies", {"accuracies": {0: float("nan")}}),
    ("accuracies", {"accuracies": {0: None}}),
    ("accuracies", {"accuracies": [0.5]}),
    ("accuracies", {"accuracies": {-1: 0.5}}),
    ("accuracies", {"accuracies": {"0": 0.5, "00": 0.5}}),
    ("accuracies", {"accuracies": {"first": 0.5}}),
    ("accuracies", {"accuracies": {0.5: 0.5}}),
    ("losses", {**JUDGED, "losses": {0: [1.0], 1: [-1.0]}}),
    ("losses", {**JUDGED, "losses": {0: [1.0], 1: [float("nan")]}}),
    ("losses", {**JUDGED, "losses": {0: [1.0], 1: []}}),
    ("losses", {**JUDGED, "losses": {0: [1.0]}}),
    ("losses", {**JUDGED, "losses": {0: [1.0] * 1000, 1: [1.0]}}),
    ("relative_errors", {"relative_errors": {0: -0.1}}),
    ("relative_errors", {"relative_errors": {0: float("inf")}}),
    ("relative_errors", {**JUDGED, "relative_errors": {0: 0.1}}),
    ("agreements", {**JUDGED, "agreements": {0: 1.5, 1: 1}}),
    ("agreements", {**JUDGED, "agreements": {0: 0.5, 2: 0.5}}),
    ("cosines", {**JUDGED, "cosines": {0: 1.1, 1: 1}}),
    ("cosines", {**JUDGED, "cosines": {0: -1.1, 1: 1}}),
    ("cosines", {**JUDGED, "cosines": {0: 1.0}}),
    ("correlations", {"correlations": {0: []}}),
    ("correlations", {"correlations": {0: [0.5, 1.1]}}),
    ("correlations", {"correlations": {0: [0.5, float("nan")]}}),
    ("correlations", {"correlations": {0: [0.5], 1: [0.5, 0.5]}}),
    ("right", {**JUDGED, "right": {0: "ff", 1: "xy"}}),
    ("right", {**JUDGED, "right": {0: "ff", 1: "0xff"}}),
    ("right", {**JUDGED, "right": {0: "ff", 1: "fff"}}),
    ("right", {**JUDGED, "right": {0: "ff", 1: ""}}),
    ("right", {**JUDGED, "right": {0: "ff"}}),
    ("error", {"error": ""}),
    ("error", {"error": "a\nb"}),
    ("clock", {**TIMED, "clock": "sundial"}),
    ("clock", {"flops": 8, "clock": "wall"}),
    ("host_seconds", {**TIMED, "host_seconds": [1.0]}),
    ("host_seconds", {**TIMED, "host_seconds": [1.0, -1.0]}),
    ("extra", {**TIMED, "extra": 1}),
]


@pytest.mark.parametrize(("field", "fields"), NO_SENSE)
def test_a_number_that_cannot_be_is_refused_by_its_field(field, fields):
    with pytest.raises(ValueError, match=field):
        case(**(fields if set(fields) - {"variant", "parameters"} else TIMED | fields))


@pytest.mark.parametrize(
    "fields",
    [
        TIMED,
        {"flops": 0},
        {"peak_bytes": 2**63 - 1},
        {"accuracies": {0: 0, 1: 1}},
        {"accuracies": {"0": 0.5, "10": 1.0}},
        {**JUDGED, "seconds": [0.0, 0.0]},  # of a training of no steps
        {**JUDGED, "cosines": {0: 1.0000001, 1: -1}, "agreements": {0: 0, 1: 1}, "right": {0: "0f", 1: "f0"}},
        {**JUDGED, "losses": {0: [2.0, 0.0], 1: [1.5]}},  # the second ended early
        {"relative_errors": {42: 3.0}},
        {"correlations": {0: [1.0000001, -1]}},
        {"error": "out of memory: 1 GiB"},
        {**TIMED, "clock": "device events", "host_seconds": [0.3, 0.4]},
    ],
)
def test_what_can_be_is_accepted(fields):
    assert case(**fields)


@pytest.mark.parametrize(
    "fields",
    [{}, {"seconds": [1.0], "error": "also failed"}, {"losses": {0: [1.0]}}, {"error": "no", "cosines": {0: 1.0}}],
)
def test_a_case_says_something_or_why_not(fields):
    with pytest.raises(ValueError, match="either measurements or an error"):
        case(**fields)


def test_a_refusal_quotes_no_more_than_a_line():
    with pytest.raises(ValueError, match="flops") as caught:
        case(flops="9" * 10_000)
    assert max(map(len, str(caught.value).splitlines())) < 300


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({**TIMED}, r"cases.1.parameters: 'baseline' is there twice, cases.0 is the same"),
        (
            {"parameters": {"length": 16}, "accuracies": {0: 0.5, 2: 0.5}},
            "cases.1.accuracies: of seeds 0, 2, and cases.0",
        ),
        (
            {"parameters": {"length": 16}, **JUDGED, "right": {0: "fff", 1: "fff"}},
            "cases.1.right: 3 digits, and 2 in cases.0",
        ),
    ],
)
def test_cases_that_do_not_belong_together_are_refused_by_number_and_field(second, said):
    first = case(**JUDGED, right={0: "ff", 1: "0f"})
    with pytest.raises(ValueError, match=said):
        check_together([first, case(**second)])


def test_cases_that_differ_in_anything_belong_together():
    check_together([case(**TIMED), case(**TIMED, variant="other"), case(**TIMED, parameters={"length": 16})])
