"""Gates at smoke size: what is written is what the models did, and is read by every frame and figure."""

import matplotlib as mpl
import mrss_book
import pytest

mpl.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

from lib.experiments import mrss_gates
from lib.experiments.mrss_gates import BASELINE, CLOSED, FORMS, FORWARD, LEARNED, OPEN, TRAINED, TRAINING, USED
from lib.models.ssm.mamba import MambaConfig
from lib.records import RecordError
from lib.report import frames
from lib.report.figures import mrss_gates as draw
from lib.tasks.data.sequences import BENCHMARKS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
LENGTH = 48


@pytest.fixture(scope="module")
def made():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"SIZES": MambaConfig(dim=24, layers=2), "LENGTH": LENGTH, "TESTED": 3, "TIMED": 2}.items():
            patch.setattr(mrss_gates, name, value)
        return mrss_gates.run(mrss_book.settings(mrss_gates, runs=1, r=4))


def test_every_form_is_trained_timed_and_shown(made):
    rows = mrss_gates.frame([made])
    assert list(rows.loc[rows["part"] == TRAINED, "form"]) == [BASELINE, *FORMS]
    for part in (FORWARD, TRAINING):
        gates = rows[rows["part"] == part].groupby("form")["gate"].agg(set)
        assert {form for form in gates.index if gates[form] == {LEARNED}} == {BASELINE, "dual", "hnet"}
        assert all(gates[form] in ({LEARNED}, {LEARNED, OPEN, CLOSED}) for form in gates.index)
    assert rows["error"].dropna().tolist() == []
    assert set(rows.loc[rows["part"] == USED, "form"]) == set(FORMS)


def test_closed_gates_take_fewer_operations_than_open_ones(made):
    rows = frames.where(mrss_gates.frame([made]), part=FORWARD).set_index("variant")["flops"]
    for form in ("sparse_gate", "dynamic", "dynamic_rate", "sequence_rate"):
        assert rows[f"{form}, {CLOSED}"] < rows[form] < rows[f"{form}, {OPEN}"]


def test_trainings_are_read_with_what_their_gates_used(made):
    rows = mrss_gates.accuracies([made]).set_index("variant")
    assert rows[["accuracy", "used", "after_fast", "after_slow"]].stack().between(0, 1).all()
    assert rows["loss"].gt(0).all()
    assert rows.loc[BASELINE, "used"] == 1
    assert (rows["parameters"] / rows.loc[BASELINE, "parameters"] - 1).abs().max() <= 0.03


def test_the_signal_is_the_first_of_the_test_with_its_states(made):
    rows = mrss_gates.signals([made])
    task = BENCHMARKS["tagging"](torch.Generator().manual_seed(made.seed), length=LENGTH, tested=3)
    assert np.allclose(rows["signal"], task.test[0][0, :, 0], atol=0.005)
    assert (4 * rows["slow"] + rows["fast"]).tolist() == task.test[1][0].tolist()


def test_uses_are_read_by_token(made):
    rows = mrss_gates.tokens([made])
    assert rows["used"].between(0, 1).all()
    mixers = rows.groupby("form")["mixer"].nunique()
    assert (mixers["sparse_gate"], mixers["dynamic_rate"], mixers["dual"]) == (2, 1, 2)
    assert set(rows.loc[rows["form"] == "sparse_gate", "used"]) <= {0.0, 1.0}
    assert all(list(one["token"]) == list(range(LENGTH)) for _, one in rows.groupby(["form", "mixer"]))


def test_a_parameter_of_another_name_is_refused(made):
    with pytest.raises(RecordError, match="has no gate"):
        mrss_gates.frame([mrss_book.renamed(made, "gate")])


def test_all_figures_are_drawn_of_it(made):
    figure = draw.uses(mrss_gates.signals([made]), mrss_gates.tokens([made]))
    assert len(figure.axes) == 2 + len(FORMS)
    rows = frames.ratios(frames.where(mrss_gates.frame([made]), part=FORWARD))
    assert draw.latency(plt.subplots()[1], rows).get_title().startswith("As learned, ")
    plt.close("all")
