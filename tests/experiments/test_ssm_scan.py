"""The scan's benchmark: it measures what it says, refuses peers that compute something else, and is read as written."""

import dataclasses

import pytest
import torch
from dummies import dummy
from ending import end
from rehearsal import evidence

from lib.experiments import peers, ssm_scan, ssm_scan_jobs, ssm_scan_shown
from lib.experiments.ssm_scan_jobs import (
    ABSENT,
    ANOTHER,
    EVERYTHING,
    FALLBACK,
    FLOOR,
    FORWARD,
    ITSELF,
    MEMORY,
    SHORT,
    TRAINING,
    Settings,
)
from lib.experiments.ssm_step import ACCELERATED, OURS, STEP
from lib.experiments.ssm_step import FALLBACK as THEIRS
from lib.report import prose
from lib.report.chapters import ssm as chapter
from lib.report.tables import ssm as tables

SIZES = {"sizes": (1, 16, 8, 4), "tokens": 8, "memory": (1, 12, 8, 4), "step": (1, 16, 8, 1, 20)}
SMALL = Settings(seed=0, runs=3, isolated=False, **SIZES)
TOYS = {"superposition": {"fixed": 1e-16, "selective": 0.25}}
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="session")
def made():
    before = torch.get_num_threads()
    yield ssm_scan.run(SMALL)
    torch.set_num_threads(before)


@pytest.mark.parametrize("part", [FORWARD, SHORT])
def test_every_peer_is_timed_after_itself_and_after_another(made, part):
    cases = [case for case in made.cases if case.parameters["part"] == part]
    kinds = {(case.variant, case.parameters["after"]) for case in cases}
    assert {("cpp", ITSELF), ("cpp", ANOTHER), (FALLBACK, ITSELF)} <= kinds
    assert all(len(case.seconds) == 3 for case in cases)


def test_a_frame_holds_what_was_measured_in_every_part(made):
    rows = ssm_scan.frame([made])
    assert set(rows["part"]) == set(ssm_scan.PARTS)
    assert rows.loc[~rows["part"].isin([MEMORY, ABSENT]), "seconds"].gt(0).all()
    assert rows.loc[rows["part"] == MEMORY, "memory_bytes"].notna().all()
    assert (rows["error"].notna() == (rows["part"] == ABSENT)).all()
    assert set(rows.loc[rows["part"] == STEP, "variant"]) == {OURS, ACCELERATED, THEIRS}
    assert rows["most"].eq(made.parameters["threads"]).all()


def test_the_committed_record_is_read(tmp_path):
    rows = evidence(tmp_path).frame(ssm_scan)
    assert {FORWARD, TRAINING, MEMORY, FLOOR} <= set(rows["part"]) <= set(ssm_scan.PARTS)
    assert {FALLBACK, "transformers, mambapy"} <= set(rows["variant"])


def test_the_table_names_every_peer_and_the_floor_and_who_is_absent(made, capsys):
    ssm_scan_shown.show(ssm_scan.frame([made]))
    shown = capsys.readouterr().out
    assert all(f"\n{name} " in shown for name in ("cpp", "torch", FALLBACK))
    assert "by cpp runs at" in shown
    assert f"\n{ACCELERATED} " in shown
    assert "transformers, compiled, everything: left out: it compiles for a minute" in shown


def test_what_is_quadratic_in_tokens_trains_at_fewer_of_them_beside_our_own(made):
    rows = ssm_scan.frame([made])
    training, short = (rows[rows["part"] == part] for part in (TRAINING, SHORT))
    assert FALLBACK not in set(training["variant"])
    assert set(short["variant"]) == {"cpp", "torch", FALLBACK}
    assert (set(training["length"]), set(short["length"])) == ({16}, {8})
    (reason,) = rows.loc[(rows["variant"] == FALLBACK) & (rows["part"] == ABSENT), "error"]
    assert reason == "its time is quadratic in the length: timed at 8 tokens"


def test_where_all_tokens_are_few_there_is_no_short_training():
    parts = {part for part, *_ in ssm_scan._series(dataclasses.replace(SMALL, tokens=16), 4)}
    assert parts == {FORWARD, TRAINING}


def test_every_absence_is_told_once(made):
    gone = [(case.variant, case.parameters["of"]) for case in made.cases if case.parameters["part"] == ABSENT]
    assert len(gone) == len(set(gone))
    assert {("transformers, compiled", EVERYTHING), ("mamba_ssm", EVERYTHING)} <= set(gone)


SCANS = {
    "wrong": "lambda *x: 1.01 * selective_scan_ref(*x, delta_softplus=True)",
    "failing": "lambda *x: 1 / 0",
    "wrong at length": "lambda *x: selective_scan_ref(*x, delta_softplus=True) * (1 if x[0].shape[-1] < 16 else 2)",
}
TOLD = {
    "wrong": [(EVERYTHING, "ValueError: the output is off by 1.0e-02 of the largest value, 1e-04 is allowed")],
    "failing": [(EVERYTHING, "ZeroDivisionError: division by zero")],
    "wrong at length": [
        (part, "ValueError: the output is off by 1.0e+00 of the largest value, 1e-04 is allowed")
        for part in (FORWARD, TRAINING)
    ],
}


@pytest.mark.parametrize("kind", SCANS)
def test_a_peer_that_is_wrong_or_fails_is_a_row_and_ends_nothing(kind, tmp_path):
    text = f"""
from lib.experiments import peers
from lib.models.ssm.scan import selective_scan_ref

def dummy(device, wait):
    return peers.of({SCANS[kind]})
"""
    before = torch.get_num_threads()
    with dummy("PEERS", peers, tmp_path, text):
        made = ssm_scan.run(dataclasses.replace(SMALL, runs=2, tokens=16))
    torch.set_num_threads(before)
    cases = [case for case in made.cases if case.variant == "dummy"]
    absences = [(case.parameters["of"], case.error) for case in cases if case.parameters["part"] == ABSENT]
    assert absences == TOLD[kind]
    assert {case.parameters["part"] for case in cases} <= {ABSENT, MEMORY}
    assert any(case.variant == FALLBACK and case.seconds for case in made.cases)


def test_a_series_runs_in_a_process_of_its_own():
    alone = dataclasses.replace(SMALL, runs=2, isolated=True)
    before = torch.get_num_threads()
    found, died = ssm_scan.alone(alone, ssm_scan_jobs.series, FORWARD, before + 1, False, ["cpp", FALLBACK])
    assert died is None
    assert {(part, at["threads"]) for part, _, _, at in found} == {(FORWARD, before + 1)}
    assert torch.get_num_threads() == before


def test_a_process_that_is_ended_is_told_and_ends_nothing():
    found, died = ssm_scan.alone(dataclasses.replace(SMALL, isolated=True), end)
    assert found == []
    assert "ended by the system" in died


def test_a_gpu_has_one_series_in_one_process_and_larger_sizes():
    gpu = Settings(device="cuda")
    assert list(ssm_scan._series(gpu, 4)) == [(part, 4, False) for part in (FORWARD, TRAINING, SHORT)]
    assert not gpu.isolated
    assert gpu.sizes != Settings().sizes
    assert gpu.tokens < gpu.sizes[1]


def test_freed_memory_is_kept_in_every_part_on_a_cpu_and_returned_in_one_series_more():
    found = {}
    for part, *series in ssm_scan._series(SMALL, 4):
        found.setdefault(part, set()).add(tuple(series))
    assert found[FORWARD] == found[TRAINING] == {(1, True), (4, True), (4, False)}
    assert found[SHORT] == {(4, True)}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--rounds 1", "--rounds 1: a number from 2 to 10000 is needed"),
        ("--rounds 1000000000", "--rounds 1000000000: a number from 2 to 10000 is needed"),
        ("--seed -4", "seed = -4: an integer from 0 to"),
    ],
)
def test_a_number_that_cannot_be_ends_with_one_line(given, said, capsys):
    with pytest.raises(SystemExit) as ended:
        ssm_scan.main(given.split())
    assert said in f"{ended.value}{capsys.readouterr().err}"


@pytest.fixture
def found(tmp_path):
    """What is read of a run in which transformers' own scans train at all tokens: without others they are the best."""
    before = torch.get_num_threads()
    made = ssm_scan.run(dataclasses.replace(SMALL, runs=2, tokens=16))
    torch.set_num_threads(before)
    return evidence(tmp_path, made, toys=TOYS)


def test_every_number_is_there_and_in_the_text(found):
    numbers = chapter.numbers(found)
    assert (numbers.sizes.length, numbers.sizes.dtype, numbers.memory_length) == (16, "float32", 12)
    assert {numbers.best.training.peer, numbers.slow.training.peer} <= {
        FALLBACK,
        "transformers, mambapy",
    }  # by its times
    assert None not in (numbers.returned, numbers.floor)
    assert "mamba_ssm (it needs a CUDA device)" in numbers.absent
    for name in ("abstract", "discussion"):
        text = prose.render(f"ssm_background/{name}", numbers).data
        assert "nan" not in text
        assert "None" not in text


def test_the_table_and_the_comparison_have_all_peers(found):
    shown = tables.speedups(found.peers, "best peer", "Table 2. The scan").data
    assert all(f"| {name} " in shown for name in found.benchmark.loc[found.benchmark["part"] == MEMORY, "variant"])
    rows = chapter.across_machines(found)
    assert rows["what"].str.startswith("our scan").sum() == 2
    assert rows["ratio"].notna().all()
