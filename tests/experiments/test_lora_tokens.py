"""Trainings of adapters for tokens at smoke size: what is written is read by every number, figure, table and judge."""

import matplotlib as mpl
import pytest

mpl.use("agg")
from lora_records import TOYS, read
from rehearsal import evidence

from lib.experiments import lora_cases, lora_tokens
from lib.report.tables import lora as tables

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="session")
def made():
    """The experiment's record after two tiny steps, in this process: what a sweep adds is tested beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lora_cases, "sweep", lambda plans, work, _: {plan: work(plan) for plan in plans})
        return lora_tokens.run(lora_tokens.Settings(task="scenes", seeds=2, steps=2, per_step=2, tested=4))


def test_every_variant_is_trained_with_every_seed(made):
    frame = lora_tokens.outcomes([made])
    assert made.experiment == "lora_tokens_scenes"
    assert list(frame["variant"].unique()) == list(lora_tokens.VARIANTS)
    assert set(frame.groupby("variant")["seed"].nunique()) == {2}
    assert frame[["whole", "reduced", "accuracy", "unreduced"]].stack().between(0, 1).all()
    assert lora_tokens.frame([made])["runs"].map(len).sum() == 2 * len(lora_tokens.VARIANTS)


def test_every_reader_reads_it(made, tmp_path):
    found = evidence(tmp_path, made, toys=TOYS)
    assert "± " in read(found)[0]


def test_its_own_run_shows_it(made):
    shown = tables.trained("tokens", [made], "Table 1. T").data
    assert "scenes" in shown
    assert "nan" not in shown
