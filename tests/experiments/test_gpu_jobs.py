"""The table of jobs: every experiment of cost is in it, every preset has its settings, and it fits ten minutes."""

import subprocess
import sys
from importlib import import_module

import experiments
import pytest
from refusals import refused

from lib.experiments.gpu.jobs import JOBS, LIMIT, chosen, reading
from lib.experiments.gpu.work import settings_of
from lib.paths import ROOT

COST = [job for job in JOBS.values() if not job.trains]
TRAINED = {job.name for job in JOBS.values() if job.trains}


def test_every_experiment_with_one_record_is_a_job():
    single = {one.NAME for one in experiments.MEASURING if not experiments.tasks(one)}
    assert {job.name for job in COST} == single - TRAINED
    assert single <= set(JOBS)


def test_a_record_that_only_a_gpu_makes_is_a_job():
    assert {name for one in experiments.ALL for name in experiments.on_gpu(one)} <= TRAINED


def test_what_reads_images_is_told_where_they_are(tmp_path):
    grey, other = JOBS["mrss_compared_cifar_grey"], JOBS["mrss_compared_mqar"]
    assert reading(grey, tmp_path).more == {"task": "cifar_grey", "source": str(tmp_path)}
    assert reading(other, tmp_path) is other
    assert {job.name for job in JOBS.values() if job.images} == {name for name in TRAINED if "cifar" in name}
    with refused(f"--images {tmp_path / 'none'}: no such folder"):
        reading(grey, tmp_path / "none")


@pytest.mark.parametrize("name", JOBS)
def test_a_job_makes_the_record_of_its_name_by_every_preset(name):
    job = JOBS[name]
    experiment = import_module(job.module)
    for preset in ("smoke", "cpu", "gpu"):
        settings = settings_of(job, preset, "cpu")
        assert settings.device == "cpu"
        assert experiment.NAME.format(task=getattr(settings, "task", None)) == name


def test_costs_take_less_than_a_minute_each_and_ten_minutes_in_all():
    assert max(job.seconds for job in COST) < 60
    assert sum(job.seconds for job in COST) < len(COST) * LIMIT < 600
    assert {job.limit for job in COST} == {LIMIT}
    assert all(LIMIT < job.seconds < 480 < job.limit for job in JOBS.values() if job.trains)


def test_trainings_come_where_they_are_asked_for():
    assert chosen(JOBS, None) == COST
    assert chosen(JOBS, None, trainings=True) == list(JOBS.values())
    assert [job.name for job in chosen(JOBS, ["mrss_digits", "scan"])] == ["scan", "mrss_digits"]


def test_the_command_starts_and_lists_its_jobs_without_torch():
    listing = "from lib.experiments.__main__ import main; main(['gpu', '--list'])"
    code = f"import sys; {listing}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == list(JOBS)
    assert lines[-1] == "False"


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), ([], 2), (["tpu"], 2)])
def test_another_command_is_refused(arguments, code, capsys):
    main = import_module("lib.experiments.__main__").main
    assert main(arguments) == code
    assert "python -m lib.experiments gpu" in capsys.readouterr().out
