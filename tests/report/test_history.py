"""The original report's repository: facts of one form, and what was there when, by its events alone."""

from datetime import date

import pytest
import yaml
from pydantic import ValidationError

from lib.paths import ORIGINAL
from lib.report import history
from lib.report.frames import Missing

DAYS = [date(2025, 11, day) for day in (1, 10, 20)]


def events(*states, file="a.csv"):
    """An event on each of the days, or none."""
    made = zip(states, DAYS, strict=True)
    return tuple(
        history.Event(state=state, files=(file,), commits=("5c91387",), date=day) for state, day in made if state
    )


@pytest.mark.parametrize(
    ("states", "there"),
    [
        ((None, "added", None), [False, True, True]),
        ((None, "added", "deleted"), [False, True, False]),
        (("added", "deleted", "added"), [True, False, True]),
        (("added", "changed", None), [True, True, True]),
        ((None, None, "never"), [False, False, False]),
        (("present", None, None), [True, True, True]),
    ],
)
def test_the_last_event_decides_whether_a_file_is_there(states, there):
    assert [history.there(events(*states), "a.csv", day) for day in DAYS] == there


@pytest.mark.parametrize("state", ["present", "deleted", "changed"])
def test_before_a_file_is_first_seen_nothing_is_known(state):
    with pytest.raises(Missing, match=r"no event tells whether a\.csv was there on 2025-11-01"):
        history.there(events(None, None, state), "a.csv", DAYS[0])


def test_events_of_other_files_tell_nothing():
    with pytest.raises(Missing, match=r"b\.csv"):
        history.there(events("added", None, None), "b.csv", DAYS[2])


def test_what_was_promised_is_looked_for_at_both_states():
    found = history.promised(history.history()).set_index("file")
    assert found.at["vlm/results/clip_vtp_results.csv", "report"]
    assert not found["today"].any()
    assert not found.loc["ssm/results/"].any()
    assert len(found) == 4


def written():
    return yaml.safe_load((ORIGINAL / "history.yml").read_text())


@pytest.mark.parametrize(
    ("event", "match"),
    [
        ({"commits": ["5c9138"]}, "pattern"),
        ({"commits": []}, "at least 1"),
        ({"files": []}, "at least 1"),
        ({"files": [""]}, "at least 1 character"),
        ({"state": "moved"}, "'added', 'changed', 'deleted', 'present' or 'never'"),
        ({"verdict": "untrue"}, "Extra inputs"),
        ({"date": "in winter"}, "date"),
    ],
)
def test_a_fact_of_another_form_is_refused(event, match):
    facts = written()
    facts["events"][0] |= event
    with pytest.raises(ValidationError, match=match):
        history.History.model_validate(facts)


def test_what_never_was_cannot_be_added():
    facts = written()
    facts["events"][0]["files"] = ["ssm/results/"]
    with pytest.raises(ValidationError, match="ssm/results/: in no commit, and added"):
        history.History.model_validate(facts)


def test_every_search_and_run_names_files_with_their_commits():
    facts = history.history()
    found = [source for search in facts.searches.values() for source in search.found]
    assert all(one.commit for one in found)
    assert str(found[0]).startswith("`vlm/")
    assert {name for name, one in facts.runs.items() if one.commit is None} == {"printed"}


def test_a_paper_has_its_number():
    assert {one.arxiv for one in history.papers().values()} == {"2303.15389", "2311.17049"}
    with pytest.raises(ValidationError, match="pattern"):
        history.Paper(arxiv="23.1", parameters=(1, 2), by=("distillation",))
