"""What the section on the fair comparison says follows its records; every head is turned by them."""

from dataclasses import replace

import pytest
from compared_records import BASELINE, HYBRID, LOW, USUAL, compared
from rehearsal import alone

from lib.experiments.mrss_fair import RATES
from lib.report import prose
from lib.report.chapters import mrss_compared as chapter
from lib.report.frames.mrss_bars import ON_AVERAGE, Bar

PATCHES = "patches, r = 4"
CONTROLLED = USUAL | {PATCHES: (0.2, {"steps": 1.0, "time": 0.8})}
LOST = USUAL | {LOW: (0.5, {"steps": 1.2, "time": 1.1})}
HIGH, MIDDLE, SMALL = [0.9, 0.91, 0.92], [0.6, 0.61, 0.62], [0.5, 0.51, 0.52]


def said(folder, *made):
    return prose.render("mrss/compared", chapter.numbers(alone(folder, *made))).data


def controlled(patches, low):
    return compared("plaid", CONTROLLED, right={PATCHES: patches, LOW: low, HYBRID: SMALL})


def recalled(hybrid):
    return compared("mqar", USUAL, right={BASELINE: [1.0] * 3, HYBRID: hybrid})


@pytest.mark.parametrize(
    ("made", "head"),
    [
        ([compared()], "**A low rate pays with an output at every token.**"),
        ([compared(), compared("filling", LOST)], "**A low rate pays on tagging, and not on every task with"),
        ([compared(variants=LOST)], "**No low-rate form clears the bar with an output at every token.**"),
        ([controlled(HIGH, MIDDLE)], "**With one answer per sequence, use patches.**"),
        ([controlled(MIDDLE, HIGH)], "**With one answer per sequence, a form beats patches.**"),
        ([controlled(MIDDLE, HIGH), compared("vowels", CONTROLLED)], "a form beats patches on some tasks.**"),
        ([controlled(HIGH, [0.6, 0.99, 0.9])], "forms and patches are not separated.**"),
        ([recalled([1.0] * 3)], "**A hybrid keeps recall.**"),
        ([recalled([1.0, 0.2, 1.0])], "**No hybrid clears the bar on recall.**"),
        ([compared(falls=0.1)], "**Some baselines were still learning.**"),
        ([compared(falls=0.001)], "**All baselines had come to rest.**"),
        ([compared()], "**Some variants differ from the baseline.**"),
    ],
    ids=lambda one: one.strip("*.")[:40] if isinstance(one, str) else "",
)
def test_every_head_follows_the_records(made, head, tmp_path):
    assert head in said(tmp_path, *made)


def test_what_is_met_on_average_alone_is_said_so(tmp_path):
    n = chapter.numbers(alone(tmp_path, compared()))
    (bar,) = n.tokens
    unsure = replace(bar, parts={part: ON_AVERAGE for part in bar.parts})
    text = prose.render("mrss/compared", replace(n, tokens=[unsure], sure=[])).data
    assert "**A low rate pays with an output at every token, on average.**" in text
    assert "On none of them is the bar met by tests that are adjusted" in text


def test_without_differences_that_is_the_head(tmp_path):
    same = {name: (share, dict.fromkeys(losses, 1.0)) for name, (share, losses) in USUAL.items()}
    text = said(tmp_path, compared(variants=same))
    assert "**No variant is separated from the baseline.**  Not separated: tagging." in text
    assert "differ from" not in text
    assert "No size beyond the tasks' own was trained." in text


def test_numbers_are_those_of_the_records(tmp_path):
    n = chapter.numbers(alone(tmp_path, compared(rate=RATES[0]), controlled(HIGH, MIDDLE)))
    assert n.tasks == ["tagging", "PLAID, its own split"]
    assert (list(n.training), list(n.inference), list(n.control_times)) == ([0.5], [0.5], [0.2])
    assert (n.sure, n.patches, n.edge, n.trainings) == (["tagging"], ["PLAID, its own split"], 3, 7)
    assert n.seeds == (3, 3)
    assert (n.longest, n.lower) == (0, ["tagging"])
    assert chapter.numbers(alone(tmp_path / "recall", recalled([1.0] * 3))).longest == 0  # its length is its own


def test_rates_at_an_edge_are_warned_of_where_there_are_any(tmp_path):
    warned = "a rate beyond might be better"
    assert warned in said(tmp_path / "edge", compared(rate=RATES[0]))
    assert warned not in said(tmp_path / "inside", compared())


def test_the_longest_size_is_told_with_its_width(tmp_path):
    found = alone(tmp_path, compared(), compared("tagging_4096"))
    n = chapter.numbers(found)
    assert (n.longest, n.widest) == (4096, 256)
    assert "have 4,096 tokens, at $D = 256$" in prose.render("mrss/compared", n).data


def test_what_is_missed_is_named_beside_the_form(tmp_path):
    assert f"- tagging: *{LOW}*, missed, by loss at equal steps and loss in equal time." in said(
        tmp_path,
        compared(
            variants=USUAL | {LOW: (0.5, {"steps": 1.2, "time": 1.1}), HYBRID: (0.9, {"steps": 2.0, "time": 2.0})}
        ),
    )


def test_of_no_bars_none_is_met():
    assert chapter.met([]) == chapter.NONE
    assert chapter.met([Bar("t", "low", {"a": "met on average"})]) == chapter.ALL


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            [compared()],
            "on all 1 tasks; the whole bar, which asks for at most 1 % more loss at equal steps, too, is met",
        ),
        ([compared(variants=LOST)], "lower, at least on average, on none of 1 tasks"),
        ([controlled(HIGH, MIDDLE)], "beat every form that was trained on PLAID, its own split: there, use patches."),
        ([controlled(MIDDLE, HIGH)], "a form is better on PLAID, its own split."),
        ([controlled(HIGH, [0.6, 0.99, 0.9])], "nothing is sure on PLAID, its own split."),
    ],
)
def test_the_abstract_follows_the_records(made, words, tmp_path):
    assert words in prose.render("mrss/compared_abstract", chapter.numbers(alone(tmp_path, *made))).data
