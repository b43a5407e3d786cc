"""Views on what the original report's later claims are held against."""

import shutil

import pandas as pd
import pytest

from lib.paths import RUNS
from lib.report.evidence import Evidence
from lib.report.frames import Missing
from lib.report.views.original import against_attention

REFERENCE = RUNS / "amd-epyc-2-cores"


@pytest.fixture(scope="module")
def evidence():
    return Evidence(machine=REFERENCE.name)


def test_attention_is_the_denominator_at_every_length(evidence):
    found = evidence.scan_against_attention
    mixing = evidence.mixing.dropna(subset="seconds")
    assert set(found["length"]) == set(mixing.loc[mixing["variant"] == "attention", "length"])
    assert found["variant"].nunique() == 1
    last = found.sort_values("length").iloc[-1]
    both = mixing[(mixing["length"] == last["length"]) & (mixing["part"] == "lengths")].set_index("variant")["seconds"]
    assert last["latency_ratio"] == pytest.approx(both[last["variant"]] / both["attention"], rel=0.1)


def test_without_attention_nothing_is_compared(evidence):
    rows = evidence.mixing
    with pytest.raises(Missing, match="variant attention"):
        against_attention(rows[rows["variant"] != "attention"])


def test_no_record_of_a_gpu_is_missed_without_naming_other_machines(tmp_path):
    shutil.copytree(REFERENCE, tmp_path / REFERENCE.name)
    with pytest.raises(Missing) as error:
        _ = Evidence(runs=tmp_path).scan_against_attention_on_gpus
    assert str(error.value) == "there is no record of ssm_scaling on a GPU"


def test_memory_is_what_a_pass_holds_beside_its_input(evidence):
    found = evidence.encoder_memory.set_index("side")
    assert list(found["tokens"]) == [65, 197, 442, 785]
    assert (found["held"] == found["memory_bytes"] - found["input_bytes"]).all()


def test_agreements_are_of_half_of_the_patches(evidence):
    found = evidence.norm_agreements
    assert set(found["keep"]) == {0.5}
    assert found.groupby("task").size().nunique() == 1
    assert isinstance(found["agreement"], pd.Series)
