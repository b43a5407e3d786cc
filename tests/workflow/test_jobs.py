"""The list of jobs: chapters, parameters and presets that exist, and a job for every record that there is."""

import ast
from dataclasses import fields
from importlib import import_module

import experiments
import nbformat
import pytest
import yaml

from lib.paths import BOOK, PRESETS, ROOT

JOBS = yaml.safe_load((ROOT / "workflow/jobs.yml").read_text())
RUN = {name: job for name, job in JOBS.items() if "chapter" in job}
OTHERS = {name: job for name, job in JOBS.items() if "experiment" in job}
APART = {import_module(job["experiment"]) for job in OTHERS.values()}  # experiments that no chapter runs


def parameters(chapter):
    """Names in a chapter's parameters cell."""
    notebook = nbformat.read(BOOK / f"{chapter}.ipynb", as_version=4)
    (source,) = [cell.source for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    return {line.target.id for line in ast.parse(source).body}


@pytest.mark.parametrize("name", RUN)
def test_a_job_asks_a_chapter_for_what_it_knows(name):
    job = RUN[name]
    assert set(job) <= {"chapter", "set", "after", "trains", "images"}
    assert set(job.get("set", {})) <= parameters(job["chapter"])
    assert {path.stem for path in (PRESETS / job["chapter"]).glob("*.yml")} >= {"smoke", "cpu", "gpu"}


@pytest.mark.parametrize("name", OTHERS)
def test_a_job_asks_an_experiment_for_what_it_knows(name):
    job = OTHERS[name]
    assert set(job) <= {"experiment", "set", "after", "trains", "images", "gpu"}
    module = import_module(job["experiment"])
    settings = {one.name for one in fields(module.Settings)}
    given = job.get("set", {})
    assert set(given) | ({"source"} if job.get("images") else set()) <= settings
    assert name == module.NAME.format(**given)
    assert bool(job.get("gpu")) == (given.get("task") in getattr(module, "ON_GPU", ()))


@pytest.mark.parametrize("name", JOBS)
def test_a_job_waits_for_jobs_that_stand_before_it(name):
    order = list(JOBS)
    assert all(one in order[: order.index(name)] for one in JOBS[name].get("after", []))


def test_every_chapter_with_records_has_a_job_that_measures():
    measuring = {job["chapter"] for job in RUN.values() if not job.get("trains")}
    assert measuring == {one.CHAPTER for one in experiments.MEASURING}


def test_every_task_with_records_has_a_job_that_trains():
    trained = {(job["chapter"], job["set"]["task"]) for job in RUN.values() if job.get("trains")}
    recorded = {(one.CHAPTER, task) for one in experiments.ALL if one not in APART for task in experiments.tasks(one)}
    assert recorded == trained


def test_every_record_of_an_experiment_that_no_chapter_runs_has_a_job():
    assert {name for one in APART for name in experiments.names(one)} == set(OTHERS)
