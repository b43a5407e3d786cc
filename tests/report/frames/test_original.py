"""The T4's runs in base units, the noise of their protocol, and what is printed beside its own CSV."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib.report.frames import Missing, original
from lib.report.history import history


@pytest.fixture(scope="module")
def runs():
    return original.runs()


def test_every_run_has_a_baseline_and_half_of_the_patches(runs):
    assert set(runs["run"]) == set(history().runs)
    for _, one in runs.groupby("run"):
        assert (one["variant"] == original.BASELINE).sum() == 1
        assert one["keep"].min() == 0.5


def test_the_table_is_the_printed_run(runs):
    table = original.clip()
    assert list(table["seconds"]) == [0.081, 0.082, 0.079, 0.063, 0.046]
    assert list(table["memory_bytes"] / 2**20) == [420, 425, 420, 400, 380]
    assert table["latency_ratio"].iloc[-1] == pytest.approx(46 / 81)


def test_throughput_is_the_batch_over_latency_but_where_it_is_printed(runs):
    off = (8 / runs["seconds"] / runs["throughput"] - 1).abs().groupby(runs["run"]).max()
    assert off.drop(original.PRINTED).max() < 1e-3
    assert off[original.PRINTED] > 0.04


def test_the_noise_of_its_protocol_is_that_of_two_runs(runs):
    found = 100 * original.noise(runs)["difference"]
    assert list(found.abs().round(2)) == [0.05, 1.3, 1.86, 0.25, 2.17]


def test_the_printed_throughput_departs_from_its_own_csv(runs):
    found = 100 * original.printed(runs)["difference"]
    assert list(found.round(1)) == [1.6, 3.3, 4.2, -2.1, -2.6]


def test_a_share_that_one_run_lacks_is_missed(runs):
    whole = (runs["run"] == original.SECOND) & (runs["keep"] == 0.7)
    with pytest.raises(Missing, match="seconds: the runs second and csv"):
        original.noise(runs[~whole])


def test_tokens_are_the_whole_part_of_the_patches_and_one_more(runs):
    kept = dict(zip(runs["keep"], runs["tokens"], strict=True))
    assert kept == {1.0: 197, 0.9: 177, 0.7: 138, 0.5: 99}


def test_growth_is_the_slope_of_each_measured_run():
    tokens = [197, 177, 138, 99]
    rows = pd.DataFrame(
        {
            "run": np.repeat(original.MEASURED, 4),
            "tokens": tokens * 3,
            "seconds": [t**power for power in (1.0, 2.0, 1.5) for t in tokens],
        }
    )
    found = original.growth(rows)
    assert list(found["run"]) == list(original.MEASURED)
    assert list(found["slope"]) == pytest.approx([1.0, 2.0, 1.5])
    noisy = rows.assign(seconds=rows["seconds"] * np.tile([1.0, 1.1, 0.9, 1.0], 3))
    row = original.growth(noisy).iloc[0]
    fit = stats.linregress(np.log(tokens), np.log(noisy["seconds"][:4]))
    assert row["slope"] == pytest.approx(fit.slope)
    assert row["high"] - row["slope"] == pytest.approx(stats.t.ppf(0.975, 2) * fit.stderr)
