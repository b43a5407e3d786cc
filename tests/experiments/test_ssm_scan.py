"""The scan's benchmark: it measures what it says, refuses peers that compute something else, and is read as written."""

import dataclasses

import pytest
import torch
from rehearsal import evidence

from lib.experiments import ssm_scan
from lib.experiments.ssm_scan import ANOTHER, FALLBACK, FLOOR, FORWARD, ITSELF, MEMORY, TRAINING, Settings
from lib.report import prose
from lib.report.chapters import ssm as chapter
from lib.report.tables import ssm as tables

SMALL = Settings(
    seed=0, rounds=3, forward=(1, 16, 8, 4), training=(1, 8, 8, 4), memory=(1, 16, 8, 4), isolated=False
)  # fmt: skip
TOYS = {"superposition": {"fixed": 1e-16, "selective": 0.25}}
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="session")
def made():
    before = torch.get_num_threads()
    yield ssm_scan.run(SMALL)
    torch.set_num_threads(before)


@pytest.mark.parametrize("part", [FORWARD, TRAINING])
def test_every_peer_is_timed_after_itself_and_after_another(made, part):
    cases = [case for case in made.cases if case.parameters["part"] == part]
    kinds = {(case.variant, case.parameters["after"]) for case in cases}
    assert {("cpp", ITSELF), ("cpp", ANOTHER), (FALLBACK, ITSELF)} <= kinds
    assert all(len(case.seconds) == 3 for case in cases)


def test_a_frame_holds_what_was_measured_in_every_part(made):
    rows = ssm_scan.frame([made])
    assert set(rows["part"]) == set(ssm_scan.PARTS)
    assert rows.loc[rows["part"] != MEMORY, "seconds"].gt(0).all()
    assert rows.loc[rows["part"] == MEMORY, "memory_bytes"].notna().all()
    assert rows["most"].eq(made.parameters["threads"]).all()


def test_the_committed_record_is_read(tmp_path):
    rows = evidence(tmp_path).frame(ssm_scan)
    assert set(rows["part"]) == set(ssm_scan.PARTS)
    assert len(rows) == 53


def test_the_table_names_every_peer_and_the_floor(made, capsys):
    ssm_scan.show(made)
    shown = capsys.readouterr().out
    assert all(f"\n{name} " in shown for name in ("cpp", "torch", FALLBACK))
    assert "by cpp runs at" in shown


def test_a_series_runs_in_a_process_of_its_own():
    alone = dataclasses.replace(SMALL, rounds=2, isolated=True)
    before = torch.get_num_threads()
    (found,) = ssm_scan._done(alone, [(ssm_scan.timings, FORWARD, before + 1, False)])
    assert {(part, at["threads"]) for part, _, _, at in found} == {(FORWARD, before + 1)}
    assert torch.get_num_threads() == before


def test_a_gpu_has_neither_series_of_threads_nor_a_floor():
    jobs = list(ssm_scan._jobs(dataclasses.replace(SMALL, device="cuda"), 4))
    assert [job.__name__ for job, *_ in jobs] == ["memory", "timings", "timings"]
    assert FLOOR in {job.__name__ for job, *_ in ssm_scan._jobs(SMALL, 4)}


def test_a_peer_that_computes_something_else_is_found():
    tensors = ssm_scan.inputs((1, 8, 4, 2), 0, "cpu")
    scans = {"wrong": lambda *x: 1.01 * x[0], FALLBACK: lambda *x: x[0]}
    with pytest.raises(AssertionError):
        ssm_scan.check(scans, tensors)


def test_too_few_rounds_end_with_one_line(capsys):
    with pytest.raises(SystemExit):
        ssm_scan.main(["--rounds", "1"])
    assert "--rounds 1: at least 2 is needed" in capsys.readouterr().err


@pytest.fixture
def found(made, tmp_path):
    return evidence(tmp_path, made, toys=TOYS)


def test_every_number_is_there_and_in_the_text(found):
    numbers = chapter.numbers(found)
    assert (numbers.forward_length, numbers.training_length, numbers.memory_length) == (16, 8, 16)
    assert None not in (numbers.kept, numbers.floor)
    for name in ("abstract", "discussion"):
        text = prose.render(f"ssm_background/{name}", numbers).data
        assert "nan" not in text
        assert "None" not in text


def test_the_table_and_the_comparison_have_all_peers(found):
    shown = tables.speedups(found.peers, "fallback", "Table 2. The scan").data
    assert all(f"| {name} " in shown for name in found.benchmark.loc[found.benchmark["part"] == MEMORY, "variant"])
    rows = chapter.across_machines(found)
    assert rows["what"].str.startswith("our scan").sum() == 2
    assert rows["ratio"].notna().all()
