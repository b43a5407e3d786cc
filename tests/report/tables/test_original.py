"""Tables of the original report's repository hold every fact, with commit and file."""

from lib.report import history
from lib.report.frames import original as frames
from lib.report.tables import original as tables


def test_every_event_stands_with_its_files_commits_and_date():
    facts = history.history()
    text = tables.events(facts, "Table 1. caption").data
    for one in facts.events:
        row = next(line for line in text.splitlines() if f"`{one.files[0]}`" in line and one.commits[0] in line)
        assert all(f"`{commit}`" in row for commit in one.commits)
        assert all(f"`{file}`" in row for file in one.files)
        assert f"{one.date:%B %Y}" in row


def test_promises_stand_with_every_state():
    facts = history.history()
    text = tables.promised(history.promised(facts), facts, "Table 1. caption").data
    assert "its newest commit (5fbe62d)" in text
    row = next(line for line in text.splitlines() if "clip_vtp_results.csv" in line)
    assert [cell.strip() for cell in row.split("|")[2:-1]] == ["yes", "yes", "no"]


def test_a_search_without_a_find_is_nowhere():
    found = history.history().searches
    rows = {
        search.what: line
        for search in found.values()
        for line in tables.searches(found, "c").data.splitlines()
        if search.what in line
    }
    assert {what for what, row in rows.items() if "nowhere" in row} == {
        one.what for one in found.values() if not one.found
    }


def test_runs_stand_beside_each_other_with_noise_and_departures():
    text = tables.runs(frames.runs(), "Table 1. caption").data
    half = next(line for line in text.splitlines() if "50 %, its code" in line)
    assert [cell.strip() for cell in half.split("|")[2:-1]] == [
        "45.8",
        "46.8",
        "+2.17 %",
        "59.6",
        "170.0",
        "174.6",
        "−2.6 %",
    ]
    whole = next(line for line in text.splitlines() if "100 %, its code" in line)
    assert "| – |" in " ".join(whole.split())  # the third run has the unreduced encoder in its place


def test_consistency_stands_beside_accuracy():
    one = {"agreement": 1.0, "accuracy": 1 / 32, "unreduced": 1 / 32, "answers": 1}
    found = {"start": one, "end": one | {"agreement": 0.25}, "chance": 1 / 32, "images": 96}
    text = tables.consistency(found, "Table 1. caption").data
    assert [word for word in ("100 %", "25 %") if word not in text] == []
    assert text.count("3.1 %") == 6
