"""An experiment's command line: settings from a preset, options over them, and no trial in a record's place."""

import pytest

from lib.experiments import command, mrss_proxy
from lib.experiments.mrss_training import Settings as Trainings
from lib.paths import RUNS
from lib.provenance import environment
from lib.records import read


def run(*arguments, settings=mrss_proxy.Settings):
    command.main("about", "mrss", settings, mrss_proxy.run, mrss_proxy.frame, [*map(str, arguments)])


def test_options_stand_over_the_preset_and_cases_are_shown(capsys):
    run("--length", 64, "--r", 2)
    shown = capsys.readouterr().out
    assert "baseline" in shown
    assert "r = 8" not in shown
    assert "not written: say --record to keep it" in shown


def test_a_record_is_written_where_it_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "WRITTEN", tmp_path)
    run("--length", 64, "--record")
    (path,) = tmp_path.glob("*/mrss_proxy.json")
    assert f"written: {path}" in capsys.readouterr().out
    assert read(path).parameters["length"] == 64


@pytest.mark.parametrize(
    ("arguments", "settings", "why"),
    [
        ((), mrss_proxy.Settings, "--record with --preset smoke: a trial replaces no record"),
        (("--preset", "cpu", "--steps", 3), Trainings, "--record with --steps 3: a trial replaces no record"),
    ],
)
def test_a_trial_replaces_no_record(arguments, settings, why, capsys):
    before = {path: path.read_bytes() for path in RUNS.rglob("*.json")}
    with pytest.raises(SystemExit):
        run("--record", *arguments, settings=settings)
    assert why in capsys.readouterr().err
    assert {path: path.read_bytes() for path in RUNS.rglob("*.json")} == before


def test_a_wrong_value_ends_in_one_line():
    with pytest.raises(SystemExit, match=r"ValueError: .*0"):
        run("--r", 0)


@pytest.mark.parametrize("place", ["file/runs", "broken"])
def test_where_a_record_could_not_be_written_nothing_is_measured(tmp_path, monkeypatch, place):
    (tmp_path / "file").touch()
    path = tmp_path / "broken" / environment().machine / "mrss_proxy.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    monkeypatch.setattr(command, "WRITTEN", tmp_path / place)
    measured = []
    monkeypatch.setattr(mrss_proxy, "run", lambda settings: measured.append(settings))
    with pytest.raises(SystemExit, match=f"^RecordError: {tmp_path / place}.*") as ended:
        run("--length", 64, "--record")
    assert "\n" not in str(ended.value)
    assert measured == []
    assert path.read_text() == "{"
