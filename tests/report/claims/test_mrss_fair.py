"""Verdicts on the original report's forms as they were trained: each is made to come out every way."""

import pandas as pd
import pytest
from compared_records import BASELINE, compared, table
from rehearsal import alone

from lib.report.claims import mrss_fair as judges
from lib.report.claims.judging import judged
from lib.report.claims.ledger import CONTRADICTED, NOT_TESTABLE, REPRODUCED, UNSUPPORTED

DUAL = "dual as wide, r = 4"


def original(plan="tagging_forms", share=1.5, loss=1.0, **more):
    found = table(compared(plan, {BASELINE: (1.0, {"steps": 1.0}), DUAL: (share, {"steps": loss})}, **more))
    return found[found["variant"] == DUAL]


@pytest.mark.parametrize(
    ("loss", "noise", "verdict"),
    [
        (1.005, (-0.001, 0.0, 0.001), REPRODUCED),
        (0.9, (-0.001, 0.0, 0.001), REPRODUCED),
        (1.2, (-0.001, 0.0, 0.001), CONTRADICTED),
    ],
)
def test_fidelity_is_judged_by_loss_where_an_output_is_asked_at_every_token(loss, noise, verdict):
    found = judges.fidelity_is_kept(original(loss=loss, noise=noise))
    assert found.verdict == verdict
    assert f"{DUAL} on tagging, other forms" in found.evidence
    assert "% of the loss" in found.evidence


@pytest.mark.parametrize(
    ("right", "verdict"),
    [([0.8, 0.8, 0.8], REPRODUCED), ([0.7, 0.7, 0.71], CONTRADICTED), ([0.7, 0.8, 0.9], UNSUPPORTED)],
)
def test_fidelity_is_judged_by_accuracy_elsewhere(right, verdict):
    found = judges.fidelity_is_kept(original("cifar_forms", right={DUAL: right}))
    assert found.verdict == verdict
    assert "points of accuracy" in found.evidence


def test_a_loss_on_one_task_contradicts_it():
    both = pd.concat([original(), original("cifar_forms", right={DUAL: [0.5, 0.5, 0.51]})])
    assert judges.fidelity_is_kept(both).verdict == CONTRADICTED


@pytest.mark.parametrize(("share", "verdict"), [(1.9, REPRODUCED), (2.0, CONTRADICTED)])
def test_twice_is_judged_by_quartiles(share, verdict):
    assert judges.cost_below_twice(original(share=share)).verdict == verdict


def test_quartiles_around_twice_decide_nothing():
    rows = original(share=1.9).assign(training_high=2.1)
    assert judges.cost_below_twice(rows).verdict == UNSUPPORTED


@pytest.mark.parametrize("id_", ["A3", "A7"])
def test_without_those_forms_a_claim_is_not_testable(id_, tmp_path):
    (found,) = judged(alone(tmp_path, compared()), [id_], on="trained")
    assert found.verdict == NOT_TESTABLE
