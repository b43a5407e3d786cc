"""Headlines follow the records, and the picture follows the headlines."""

import json
import re
import shutil
from itertools import pairwise

import pytest
from matplotlib.figure import Figure

from lib.names import CHAPTERS
from lib.paths import RUNS
from lib.report import figures, headlines
from lib.report.evidence import Evidence
from lib.report.figures import headlines as draw
from lib.report.frames import Missing
from lib.report.take_aways import OWN

MACHINE = "amd-epyc-2-cores"
NOT_OF_ONE_CASE = ("taps", "ViT-B/16")  # kernels that nobody trained, and a model without published weights


def test_every_subject_has_a_headline_in_the_order_of_the_chapters(found):
    assert [one.chapter for one in found] == [name for name in CHAPTERS if name not in ("claims", *OWN)]


def test_time_memory_and_accuracy_are_of_one_model(found):
    for one in found:
        assert [name for name, number in one.measured.items() if number.model != one.model] == []
        assert {number.record for number in one.measured.values()} <= {*one.records}


@pytest.mark.parametrize("wanted", ["time", "accuracy"])
def test_a_model_has_a_time_and_an_accuracy(found, wanted):
    assert [one.topic for one in found if wanted not in one.measured and one.chapter != "ssm_background"] == []


def test_no_headline_says_what_is_of_another_case(found):
    for one in found:
        assert [words for words in NOT_OF_ONE_CASE if words in one.text] == []


def test_every_number_of_a_text_is_one_of_its_own(found):
    for one in found:
        decimals = re.findall(r"\d+\.\d+", one.text)
        printed = " ".join(number.printed for number in one.numbers.values())
        quartiles = {f"{end:.2f}" for number in one.numbers.values() for end in (number.low, number.high) if end}
        assert [number for number in decimals if number not in printed and number not in quartiles] == []


def test_what_was_proposed_is_hollow_and_what_was_reached_is_filled(found):
    ax = draw.proposed_and_reached(Figure().subplots(), found)
    points = [line for line in ax.lines if line.get_marker() == "o"]
    hollow = [float(line.get_xdata()[0]) for line in points if line.get_fillstyle() == "none"]
    assert hollow == [one.proposed.ratio for one in found if one.proposed]
    assert len(points) - len(hollow) == len(found)


def test_the_picture_is_drawn_from_the_times_of_the_cases(found):
    for one in found:
        times = {number.value for number in one.numbers.values()} | {
            1 / number.value for number in one.numbers.values()
        }
        assert {point.ratio for point in (one.reached, one.proposed) if point} <= times


def test_words_of_the_picture_stay_inside_it_and_do_not_overlap(found):
    figures.style()
    figure = Figure(figsize=draw.SIZE, layout="constrained")
    ax = draw.proposed_and_reached(figure.subplots(), found)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))


def test_every_headline_has_a_chapter_and_records(found):
    assert len({one.chapter for one in found}) == len(found) == 5
    assert all(one.records for one in found)


def test_without_records_there_are_no_headlines(tmp_path):
    with pytest.raises(Missing, match="there is no record of scan"):
        headlines.headlines(Evidence(runs=tmp_path))


@pytest.mark.slow
def test_a_second_machine_changes_no_headline(tmp_path, found):
    machine = RUNS / MACHINE
    shutil.copytree(machine, tmp_path / machine.name)
    shutil.copytree(machine, tmp_path / "second")
    for path in (tmp_path / "second").glob("*.json"):
        if path.name != "machine.json":
            record = json.loads(path.read_text())
            record["environment"]["machine"] = "second"
            path.write_text(json.dumps(record))
    assert headlines.headlines(Evidence(runs=tmp_path)) == found


def with_towers(folder, *checkpoints):
    """A machine's records in which the image towers of these checkpoints are timed."""
    shutil.copytree(RUNS / MACHINE, folder / MACHINE)
    path = folder / MACHINE / "clip_cost.json"
    record = json.loads(path.read_text())
    small = [case for case in record["cases"] if case["parameters"]["part"] == "small"]
    others = [case for case in record["cases"] if case["parameters"]["part"] != "small"]
    first = small[0]["parameters"].get("checkpoint", "clip-scenes-0")
    small = [case for case in small if case["parameters"].get("checkpoint", first) == first]
    for checkpoint in checkpoints:
        at = {"checkpoint": checkpoint, "task": checkpoint.split("-")[1]}
        others += [case | {"parameters": case["parameters"] | at} for case in small]
    path.write_text(json.dumps(record | {"cases": others}))
    return Evidence(runs=folder)


def test_of_small_clips_the_case_is_that_of_photographs_where_its_own_tower_is_timed(tmp_path):
    found = headlines.clip.headline(with_towers(tmp_path, "clip-scenes-0", "clip-cifar10-0"))
    assert (found.model.task, found.measured["accuracy"].record) == ("CIFAR-10", "clip_accuracy_cifar10")
    assert found.beside["scenes, accuracy"].record == "clip_accuracy_scenes"


def test_the_time_of_one_tower_stands_beside_no_accuracy_of_another(tmp_path):
    found = headlines.clip.headline(with_towers(tmp_path, "clip-scenes-0"))
    assert {number.model.task for number in found.numbers.values()} == {"scenes"}
    assert "CIFAR-10" not in found.text


def test_an_accuracy_beside_the_time_of_another_length_is_refused(tmp_path):
    shutil.copytree(RUNS / MACHINE, tmp_path / MACHINE)
    path = tmp_path / MACHINE / "distillation.json"
    record = json.loads(path.read_text())
    for case in record["cases"]:
        if case["parameters"]["part"] == "model":
            case["parameters"]["length"] = 8192
    path.write_text(json.dumps(record))
    with pytest.raises(Exception, match=r"Distilled kernels: time is of .*8192.* the headline of .*256"):
        headlines.distill.headline(Evidence(runs=tmp_path))
