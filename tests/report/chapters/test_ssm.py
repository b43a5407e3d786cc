"""The chapter's numbers are those of its records: made by hand here, so that each can be worked out."""

import pandas as pd
import pytest
from rehearsal import REFERENCE, evidence, machines

from lib import records
from lib.experiments import ssm_scaling, ssm_scan
from lib.profilers.profile import Profile
from lib.records import Case
from lib.report import prose
from lib.report.chapters import ssm
from lib.report.evidence import Evidence
from lib.report.frames import Missing

TOYS = {"superposition": {"fixed": 1e-16, "selective": 0.25}}
SECONDS = {"attention": lambda t: t**2 / 1e3, "S4D": lambda t: t / 1e3, "scan, cpp": lambda t: t / 1e3 / 2}


def mixing():
    """Attention is quadratic, all else linear; the definition takes three times as long as the compiled scan."""
    cases = []

    def add(part, variant, seconds, flops=1, length=64, dim=8, states=4):
        at = dict(part=part, batch=1, length=length, dim=dim, states=states, input_bytes=0)
        cases.append(Case.of(variant, Profile([seconds] * 3, peak_bytes=100 * length, flops=flops), **at))

    for length in (16, 32, 64, 128, 256):
        for name, cost in SECONDS.items():
            add(ssm_scaling.LENGTHS, name, cost(length), length=length)
        add(ssm_scaling.LENGTHS, "scan, ref", 3 * SECONDS["scan, cpp"](length), length=length)
    add(ssm_scaling.GATE, ssm_scaling.OPEN, 1.0)
    add(ssm_scaling.GATE, ssm_scaling.CLOSED, 1.5)
    for size in (4, 8, 16):
        add(ssm_scaling.WIDTHS, "scan", 1.0, flops=size, dim=size)
        add(ssm_scaling.WIDTHS, "block", 1.0, flops=size**2, dim=size)
        add(ssm_scaling.STATES, "scan", 1.0, flops=size, states=size)
    return records.new("ssm_scaling", cases, seed=0, parameters={})


def peers(backend="cpp", gpu=False):
    """The fallback takes 4 s in a forward pass, 10 s in training, ours 1 s; half of that where memory is kept."""
    cases = []

    def add(part, variant, length, seconds=(), peak=None, **at):
        at = dict(part=part, batch=1, length=length, dim=8, states=4) | at
        cases.append(Case(variant=variant, seconds=seconds, peak_bytes=peak, parameters=at))

    for threads, keep, factor in [(2, False, 1.0)] + ([] if gpu else [(1, False, 5.0), (2, True, 0.5)]):
        for after in (ssm_scan.ITSELF, ssm_scan.ANOTHER):
            at = {"threads": threads, "keep_freed": keep, "after": after}
            cold = 1.0 if after == ssm_scan.ITSELF else 7.0
            fallback = (ssm_scan.FALLBACK, 4 * factor * cold, 10 * factor * cold)
            for name, forward, training in ((backend, 1.0, 1.0), fallback):
                add(ssm_scan.FORWARD, name, 20, [forward] * 3, **at)
                add(ssm_scan.TRAINING, name, 10, [training] * 3, **at)
    for name, peak in ((backend, 1024), (ssm_scan.FALLBACK, 2048)):
        add(ssm_scan.MEMORY, name, 30, peak=peak)
    if not gpu:
        add(ssm_scan.FLOOR, ssm_scan.EXPONENTIALS, 20, [0.25] * 3, threads=1)
    return records.new("scan", cases, seed=0, parameters={"threads": 2})


def test_every_number_follows_from_the_records(tmp_path):
    found = ssm.numbers(evidence(tmp_path, mixing(), peers(), toys=TOYS))
    assert (found.longest, found.forward_length, found.training_length, found.threads) == (256, 20, 10, 2)
    assert (found.memory_length, found.memory, found.memory_fallback) == (30, 1024, 2048)
    exponents = (found.attention_exponent, found.scan_exponent, found.s4d_exponent)
    assert exponents == pytest.approx((2, 1, 1))
    assert found.attention_over_scan == pytest.approx(2 * 256)
    assert found.definition_over_scan == pytest.approx(3)
    assert (found.faster, found.faster_training) == (4, 10)
    assert found.kept == ssm.Freed(2, 5)
    assert found.floor == ssm.Floor(0.25, 0.25)
    assert (found.departure, found.closed_gate) == (0.25, 1.5)
    assert (found.scan_width, found.block_width) == pytest.approx((1, 2))
    assert found.machine == "AMD EPYC, 2 cores"
    assert f"{peers().recorded_at:%Y-%m-%d}" in found.bench


def test_a_gpu_has_no_kept_memory_and_no_floor_and_its_text_none_of_them(tmp_path):
    found = ssm.numbers(evidence(tmp_path, mixing(), peers("cuda", gpu=True), toys=TOYS, machine="tesla-t4"))
    assert (found.faster, found.kept, found.floor) == (4, None, None)
    text = prose.render("ssm_background/discussion", found).data
    assert "Tesla T4" in text
    assert "page faults" not in text
    assert "floor" not in text


def test_the_texts_say_the_numbers(tmp_path):
    found = ssm.numbers(evidence(tmp_path, mixing(), peers(), toys=TOYS))
    text = prose.render("ssm_background/discussion", found).data
    for said in ("power 2.00", "512×", "3.00×", "4.00×", "10×", "1.00 KiB", "2.00 KiB", "250 ms", "25 % of that speed"):
        assert said in text, said
    assert "1.50× that of an open one" in prose.render("ssm_background/abstract", found).data


@pytest.mark.parametrize("lacking", ["scan", "ssm_scaling"])
def test_without_a_record_the_numbers_are_missing(tmp_path, lacking):
    with pytest.raises(Missing, match=f"no record of {lacking}"):
        ssm.numbers(evidence(tmp_path, toys=TOYS, without=[lacking]))


def test_ratios_are_compared_on_every_machine(tmp_path):
    runs = machines(tmp_path, count=10)
    found = ssm.across_machines(Evidence(runs=runs, machine=REFERENCE))
    assert found["machine"].nunique() == 10
    assert found["machine"].iloc[0] == "AMD EPYC, 2 cores"
    assert found.groupby("machine")["what"].nunique().eq(4).all()
    wide = found.pivot(index="what", columns="machine", values="ratio")
    assert wide.sub(wide["AMD EPYC, 2 cores"], axis="index").abs().max(axis=None) == 0


def test_a_machine_takes_part_with_a_single_record_and_with_its_own_backend(tmp_path):
    evidence(tmp_path, peers("cuda", gpu=True), machine="tesla-t4")
    (tmp_path / "tesla-t4/ssm_scaling.json").unlink()
    found = ssm.across_machines(evidence(tmp_path, mixing(), peers()))
    other = found[found["machine"] == "Tesla T4"].set_index("what")["ratio"]
    assert list(other) == [1 / 4, 1 / 10]
    assert list(found.loc[found["machine"] == "AMD EPYC, 2 cores", "ratio"]) == [1 / 4, 1 / 10, 1 / 512, 1.5]


def test_without_records_there_is_nothing_to_compare(tmp_path):
    found = ssm.across_machines(evidence(tmp_path, without=["scan", "ssm_scaling"]))
    assert isinstance(found, pd.DataFrame)
    assert found.empty
