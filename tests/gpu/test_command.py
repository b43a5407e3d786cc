"""`make gpu` on the device that is there: a small job and the largest one, each within its limit."""

import pytest

from lib import records
from lib.experiments.gpu import command


@pytest.mark.parametrize("job", ["mrss_proxy", "mrss_scan"])
def test_a_job_ends_within_its_limit_and_fits_the_memory(tmp_path, job, capsys):
    assert command.main(["--out", str(tmp_path), "--jobs", job, "--limit", "60"]) == 0, capsys.readouterr().out
    (path,) = tmp_path.glob(f"*/{job}.json")
    made = records.read(path)
    assert made.environment.gpu
    assert [case.error for case in made.cases if case.error] == []
    assert all(case.seconds for case in made.cases)
