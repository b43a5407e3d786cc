"""References of a benchmark: what is judged is written and read, by the protocol of the models beside it."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
from refusals import refused

from lib.experiments import mrss_fair, mrss_references
from lib.experiments.mrss_plans import PLANS
from lib.experiments.mrss_references import JUDGED, SCREENED, Job, Settings
from lib.models.mrss import variants as mrss
from lib.models.mrss.cnn import CausalCnn
from lib.records import RecordError
from lib.tasks.references import cnn
from lib.tasks.references.nearest_neighbour import nearest_neighbour

pytestmark = pytest.mark.slow
LABEL = "JapaneseVowels"


def settings(**more):
    return Settings(task="vowels", trainings=2, steps=4, **more)


@contextmanager
def sweeps():
    """Sweeps in this process, nothing kept; what they are asked for."""
    asked = []

    def sweep(jobs, work, folder, **_):
        jobs = list(jobs)
        asked.extend(jobs)
        return {job: work(job) for job in jobs}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mrss_references, "sweep", sweep)
        yield asked


@pytest.fixture
def here():
    with sweeps() as asked:
        yield asked


@pytest.fixture(scope="module")
def ran():
    with sweeps() as asked:
        return mrss_references.run(settings()), asked


@pytest.fixture
def made(ran):
    return ran[0]


def test_every_reference_is_judged_from_every_seed(made):
    assert made.experiment == "mrss_references_vowels"
    rows = mrss_references.outcomes([made])
    assert list(rows["variant"]) == [
        name for name in ("most frequent class", "1-NN", "logistic regression", "CNN") for _ in range(2)
    ]
    assert set(rows["task"]) == {LABEL}
    assert set(rows["seed"]) == {0, 1}
    assert rows["accuracy"].between(0, 1).all()
    assert rows["loss"].isna().equals(rows["variant"] == "1-NN")
    chosen = rows.groupby("variant")["chosen"].first()
    assert chosen["CNN"].startswith("rate ")
    assert chosen["logistic regression"].startswith("C = ")


def test_a_reference_is_what_it_is_without_the_experiment(made):
    task, generator = mrss_references.task_of(Job("vowels", "nearest_neighbour", 1))
    rows = mrss_references.outcomes([made]).query("variant == '1-NN' and seed == 1")
    assert rows["accuracy"].item() == nearest_neighbour(task, generator).accuracy


def test_the_network_is_tried_as_the_models_are(ran):
    made, asked = ran
    assert cnn.RATES is mrss_fair.RATES
    assert cnn.DECAYS is mrss_fair.DECAYS
    rows = mrss_references.frame([made])
    tried = rows[rows["part"] == SCREENED]
    assert list(zip(tried["rate"][:4], tried["decay"][:4], strict=True)) == [(rate, 0.01) for rate in cnn.RATES]
    assert tried["decay"].iloc[4] == 0.1
    assert (set(tried["steps"]), len(tried)) == ({1}, 5)
    trained = [job for job in asked if job.reference == "cnn" and job.seed != cnn.TRIED]
    losses = {case.parameters["rate"]: case.valid_losses for case in made.cases if case.parameters["part"] == SCREENED}
    assert {job.steps for job in trained} == {4}
    assert {job.setting[0] for job in trained} < set(losses)
    assert cnn.TRIED not in {job.seed for job in asked if job.reference != "cnn"}


def test_a_rate_that_diverges_is_recorded_and_not_chosen(here, monkeypatch):
    def tried(task, rate, decay, **_):
        return float("inf") if rate > 2e-3 else decay

    monkeypatch.setattr(mrss_references, "tried", tried)
    made = mrss_references.run(settings(only="cnn"))
    errors = [case.parameters["rate"] for case in made.cases if case.error]
    assert errors == list(cnn.RATES[1:])
    (case,) = [case for case in made.cases if case.parameters["part"] == JUDGED]
    assert case.parameters["chosen"] == "rate 0.002, decay 0.01"


@pytest.mark.parametrize("name", PLANS)
def test_the_network_has_nearly_the_parameters_of_the_baseline(name):
    plan = PLANS[name]
    if (plan.dim, plan.layers) != (64, 4):  # of wider and of shallower models it stays what it is
        return
    count = sum(one.numel() for one in CausalCnn(1, None, 2).blocks.parameters())
    assert abs(count / mrss.parameters(mrss.MrssConfig(plan.sizes)) - 1) < 0.06


@pytest.mark.parametrize("column", ["task", "chosen"])
def test_a_column_that_is_renamed_is_missed(here, column):
    made = mrss_references.run(settings(only="majority"))
    (case,) = made.cases
    held = {("other" if name == column else name): value for name, value in case.parameters.items()}
    with pytest.raises(RecordError, match=f"has no {column}"):
        mrss_references.frame([made.model_copy(update={"cases": [case.model_copy(update={"parameters": held})]})])


def test_the_plan_has_the_number_of_seeds_and_of_steps(here):
    mrss_references.run(Settings(task="vowels", only="majority"))
    assert [job.seed for job in here] == list(range(PLANS["vowels"].seeds))


def test_a_task_of_one_size_has_one_record():
    sizes = [(PLANS[name].task, *PLANS[name].options.items()) for name in mrss_references.TASKS]
    assert len(set(sizes)) == len(sizes)
    assert set(sizes) == {(plan.task, *plan.options.items()) for plan in PLANS.values() if not plan.gpu}


def test_what_is_not_there_is_refused(here):
    with refused("task = 'vowel': one of tagging, "):
        mrss_references.run(replace(settings(), task="vowel"))
    with refused("only = 'ngram': one of majority, nearest_neighbour, logistic, cnn is needed"):
        mrss_references.run(settings(only="cnn, ngram"))
    assert here == []
