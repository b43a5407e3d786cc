"""The chapter's numbers are those of its records: made by hand here, so that each can be worked out."""

import pandas as pd
import pytest
from rehearsal import REFERENCE, evidence, machines

from lib import records
from lib.experiments import ssm_scaling
from lib.experiments import ssm_scan_jobs as bench
from lib.profilers.profile import Profile
from lib.records import Case
from lib.report import prose
from lib.report.chapters import ssm
from lib.report.evidence import Evidence
from lib.report.frames import Missing

pytestmark = pytest.mark.slow

LLAMA, MAMBAPY = "llama.cpp", "transformers, mambapy"
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


def peers(backend="cpp", gpu=False, older=False):
    """Ours takes 1 s. A forward pass takes others 4, 3 and 8 s, training 5 s and more; less where memory is returned.

    older   as records were that named no absent peer, trained the fallback at the tokens of all others, and timed one
            thread where memory is returned
    """
    cases = []

    def add(part, variant, length=None, seconds=(), peak=None, error=None, **at):
        at = dict(part=part, batch=1, length=length, dim=8, states=4) | at
        cases.append(Case(variant=variant, seconds=seconds, peak_bytes=peak, error=error, parameters=at))

    on_cpu = [(1, not older, 5.0), (2, True, 1.0), (2, False, 0.5)]
    for threads, keep, factor in [(2, False, 1.0)] if gpu else on_cpu:
        for after in (bench.ITSELF, bench.ANOTHER):
            at = {"threads": threads, "keep_freed": keep, "after": after}
            by = factor * (1.0 if after == bench.ITSELF else 7.0)
            gain = 2.75 if factor < 1 else 0.0  # another peer is the best where memory is returned
            for name, seconds in ((backend, 1.0), (bench.FALLBACK, 4 * by), (LLAMA, 3 * by), (MAMBAPY, 8 * by - gain)):
                add(bench.FORWARD, name, 20, [seconds - 0.1, seconds, seconds + 0.1], **at)
            for name, seconds in ((backend, 1.0), (MAMBAPY, 5 * by)):
                add(bench.TRAINING, name, 20, [seconds] * 3, **at)
            for name, seconds in ((backend, 1.0), (bench.FALLBACK, 10 * by)):
                if not older or name == bench.FALLBACK:
                    add(bench.TRAINING if older else bench.SHORT, name, 20 if older else 10, [seconds] * 3, **at)
    for name, peak in ((backend, 1024), (bench.FALLBACK, 2048)):
        add(bench.MEMORY, name, 30, peak=peak)
    if not gpu:
        add(bench.FLOOR, bench.EXPONENTIALS, 20, [0.25] * 3, threads=1)
    if not older:
        add(bench.ABSENT, LLAMA, of=bench.TRAINING, error="it computes no gradients")
        add(bench.ABSENT, "mamba_ssm", of=bench.EVERYTHING, error="it needs a CUDA device")
    return records.new("scan", cases, seed=0, parameters={"threads": 2, "dtype": "float32"})


def test_every_number_follows_from_the_records(tmp_path):
    found = ssm.numbers(evidence(tmp_path, mixing(), peers(), toys=TOYS))
    assert (found.longest, found.dim, found.states) == (256, 8, 4)
    assert found.sizes == ssm.Sizes(1, 20, 8, 4, "float32", 2)
    assert (found.memory_length, found.memory, found.memory_fallback) == (30, 1024, 2048)
    for slope, wanted in ((found.attention, 2), (found.scan, 1), (found.s4d, 1)):
        assert (slope.value, slope.low, slope.high) == pytest.approx((wanted, wanted, wanted))
        assert (slope.first, slope.last) == (16, 256)
    assert (found.attention_memory, found.scan_memory) == pytest.approx((1, 1))
    assert found.attention_over_scan == pytest.approx(2 * 256)
    assert (found.definition_length, found.definition_operations) == (256, 1)
    assert found.definition_over_scan == pytest.approx(3)
    assert (found.best.forward.peer, found.best.forward.times, found.best.forward.length) == (LLAMA, 3, 20)
    assert found.best.training == ssm.Faster(MAMBAPY, 5, 5, 5, 20)
    assert (found.returned.forward.peer, found.returned.forward.times) == (MAMBAPY, 1.25)
    assert (found.returned.training.peer, found.returned.training.times) == (MAMBAPY, 2.5)
    assert (found.slow.forward.peer, found.slow.forward.times) == (bench.FALLBACK, 4)
    assert found.slow.training == ssm.Faster(bench.FALLBACK, 10, 10, 10, 10)
    assert found.absent == ["llama.cpp in training (it computes no gradients)", "mamba_ssm (it needs a CUDA device)"]
    assert found.floor == ssm.Floor(0.25, 0.25)
    assert (found.departure, found.closed) == (0.25, ssm.Gate(1, 1.5, 1.5, 1.5))
    assert (found.scan_width, found.block_width) == pytest.approx((1, 2))
    assert found.machine == "AMD EPYC, 2 cores"
    assert f"{peers().recorded_at:%Y-%m-%d}" in found.bench


def test_a_gpu_has_one_manner_of_memory_and_no_floor_and_its_text_none_of_them(tmp_path):
    found = ssm.numbers(evidence(tmp_path, mixing(), peers("cuda", gpu=True), toys=TOYS, machine="tesla-t4"))
    assert (found.best.forward.times, found.returned, found.floor) == (3, None, None)
    text = prose.render("ssm_background/discussion", found).data
    assert "Tesla T4" in text
    assert "page faults" not in text
    assert "exponentials" not in text


def test_the_texts_say_the_numbers(tmp_path):
    found = ssm.numbers(evidence(tmp_path, mixing(), peers(), toys=TOYS))
    text = prose.render("ssm_background/discussion", found).data
    for said in (
        "Attention has 2.00 [2.00, 2.00] from 16 to 256 tokens",
        "512×",
        "1 × 20 tokens, 8 channels, 4 states, float32, 2 threads",
        "llama.cpp, at 3.00× the time of ours (quartiles 2.9 to 3.1)",
        "takes 4.00× the time of our scan in a forward pass, and 10× in a training step of 10 tokens",
        "1.25× in a forward pass (transformers, mambapy)",
        "no gradients",
        "1.00 KiB",
        "2.00 KiB",
        "250 ms",
        "25 % of the scan's time",
        "1.00× the operations and 1.50× the time",
    ):
        assert said in text, said
    abstract = prose.render("ssm_background/abstract", found).data
    assert "takes 3.00× its time in a forward pass (llama.cpp), and 5.00× in a training step" in abstract
    assert "That is at 1 × 20 tokens of 8 channels with 4 states in float32, on 2 threads" in abstract
    assert "1.25×" not in abstract  # the other manner of memory
    assert "10×" not in abstract  # the fallback


def test_a_gate_that_saves_operations_is_not_said_to_save_none(tmp_path):
    made = mixing()
    cases = [one.model_copy(update={"flops": 2}) if one.variant == ssm_scaling.OPEN else one for one in made.cases]
    found = ssm.numbers(evidence(tmp_path, made.model_copy(update={"cases": cases}), peers(), toys=TOYS))
    assert found.closed.operations == 0.5
    assert "not how much" not in prose.render("ssm_background/discussion", found).data


def test_passes_of_different_sizes_do_not_stand_side_by_side(tmp_path):
    made = peers()
    cases = [
        one.model_copy(update={"parameters": one.parameters | {"length": 40}})
        if one.parameters["part"] == bench.TRAINING
        else one
        for one in made.cases
    ]
    with pytest.raises(Missing, match="different sizes"):
        ssm.numbers(evidence(tmp_path, mixing(), made.model_copy(update={"cases": cases}), toys=TOYS))


def test_a_record_that_names_no_absent_peer_is_read(tmp_path):
    found = ssm.numbers(evidence(tmp_path, mixing(), peers(older=True), toys=TOYS))
    assert (found.best.training.peer, found.best.training.times) == (MAMBAPY, 5)
    assert (found.slow.training.times, found.slow.training.length) == (10, 20)
    assert (found.absent, found.floor) == ([], None)
    assert "Not in the comparison" not in prose.render("ssm_background/discussion", found).data


def test_without_a_series_of_the_fallback_in_training_its_sentence_is_left_out(tmp_path):
    made = peers()
    cases = [one for one in made.cases if one.parameters["part"] != bench.SHORT]
    found = ssm.numbers(evidence(tmp_path, mixing(), made.model_copy(update={"cases": cases}), toys=TOYS))
    assert (found.slow.forward.times, found.slow.training) == (4, None)
    assert "square of the length" not in prose.render("ssm_background/discussion", found).data


def test_a_faster_peer_takes_the_headline(tmp_path):
    made = peers()
    cases = [
        case.model_copy(update={"seconds": [2.0] * 3}) if case.variant == MAMBAPY and case.seconds else case
        for case in made.cases
    ]
    found = ssm.numbers(evidence(tmp_path, mixing(), made.model_copy(update={"cases": cases}), toys=TOYS))
    assert (found.best.forward.peer, found.best.forward.times) == (MAMBAPY, 2)


def test_without_a_peer_in_a_pass_there_is_nothing_to_say(tmp_path):
    made = peers()
    cases = [case for case in made.cases if (case.variant, case.parameters["part"]) != (MAMBAPY, bench.TRAINING)]
    with pytest.raises(Missing, match="no case with part training"):
        ssm.numbers(evidence(tmp_path, mixing(), made.model_copy(update={"cases": cases}), toys=TOYS))


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
    assert list(other) == pytest.approx([1 / 3, 1 / 5])
    assert list(found.loc[found["machine"] == "AMD EPYC, 2 cores", "ratio"]) == pytest.approx(
        [1 / 3, 1 / 5, 1 / 512, 1.5]
    )


def test_without_records_there_is_nothing_to_compare(tmp_path):
    found = ssm.across_machines(evidence(tmp_path, without=["scan", "ssm_scaling"]))
    assert isinstance(found, pd.DataFrame)
    assert found.empty
