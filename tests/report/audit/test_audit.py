"""The audit agrees with what is printed, and names whatever is altered: a record, a headline, a page, the picture."""

import ast
import json
import shutil
from dataclasses import replace
from math import nan

import pytest

from lib.paths import LIB, RUNS
from lib.report.audit import __main__ as script
from lib.report.audit.compare import SUBJECTS, rows, unlike, unsaid, written
from lib.report.audit.raw import DRAWN, Found, Unit
from lib.report.headlines import Measured, Model

MACHINE = "amd-epyc-2-cores"


def lines(found, folder=RUNS / MACHINE):
    return [line for row in rows(found, folder) for line in row.wrong]


@pytest.fixture
def copied(tmp_path):
    """A function that alters every case of a record in a copy of the machine's folder, which it returns."""

    def altered(name, alter):
        shutil.copytree(RUNS / MACHINE, tmp_path / MACHINE)
        path = tmp_path / MACHINE / f"{name}.json"
        record = json.loads(path.read_text())
        for case in record["cases"]:
            alter(case)
        path.write_text(json.dumps(record))
        return tmp_path / MACHINE

    return altered


def test_every_subject_is_audited_and_nothing_differs(found, capsys):
    assert {one.chapter for one in found} == {*SUBJECTS}
    assert script.audit(found, RUNS / MACHINE, script.PAGES, script.PICTURE) == []
    printed = capsys.readouterr().out
    assert [one.topic for one in found if f"{one.topic} " not in printed] == []
    assert len(printed.splitlines()) == 1 + sum(len(one.numbers) for one in found)


def test_nothing_of_the_report_is_shared_but_the_headlines():
    for path in (LIB / "report/audit").glob("*.py"):
        nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        read = {node.module for node in nodes if node.module.startswith("lib")}
        assert {name for name in read if not name.startswith(("lib.report.audit", "lib.report.headlines"))} <= {
            "lib.paths"
        }


BASES = ("baseline", "original", "full kernel", "unreduced", "untouched", "full fine-tuning", "llama.cpp", "scratch")


def twice_as_slow(case):
    if case["variant"] not in BASES:
        case["seconds"] = [2 * taken for taken in case["seconds"]]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("scan", "Selective scan: forward pass: "),
        ("mrss_compared_tagging", "Multi-resolution scan: time: "),
        ("distillation", "Distilled kernels: time: "),
        ("clip_cost", "CLIP's visual tokens: "),
        ("lora_labels_cifar10", "Low-rank adapters: time: "),
    ],
)
def test_an_altered_time_is_found(found, copied, record, said):
    of = [one for one in found if record in one.records]
    assert any(line.startswith(said) for line in lines(of, copied(record, twice_as_slow)))


def less_accurate(case):
    if case["variant"] not in BASES:
        case["accuracies"] = {seed: value - 0.001 for seed, value in case["accuracies"].items()}


@pytest.mark.parametrize("record", ["mrss_compared_tagging", "distillation_digits", "lora_labels_cifar10"])
def test_an_altered_accuracy_is_found(found, copied, record):
    of = [one for one in found if record in one.records]
    assert any("accuracy: " in line for line in lines(of, copied(record, less_accurate)))


def test_an_altered_loss_is_found(found, copied):
    def alter(case):
        if case["variant"] not in BASES:
            case["test_losses"] = {seed: value + 0.001 for seed, value in case.get("test_losses", {}).items()}

    said = lines([found[1]], copied("mrss_compared_tagging", alter))
    assert {line.split(": ")[1] for line in said} == {"loss at equal steps", "loss in equal time"}


def test_altered_answers_to_images_are_found(found, copied):
    def alter(case):
        if case["variant"] == "merge in rounds":
            case["accuracies"] = {seed: value - 0.02 for seed, value in case["accuracies"].items()}

    (one,) = (one for one in found if one.chapter == "clip_vtp")
    assert any("accuracy: low" in line for line in lines([one], copied(one.measured["accuracy"].record, alter)))


@pytest.mark.parametrize("name", ["time", "accuracy"])
def test_an_altered_arithmetic_is_found(found, name):
    for one in (found[1], found[2], found[4]):
        number = one.measured[name]
        moved = replace(one, measured={**one.measured, name: replace(number, value=number.value + 1e-6)})
        assert [line.split(": ")[1] for line in lines([moved])] == [name]


def test_records_of_which_nothing_comes_are_a_difference(found, tmp_path):
    assert [line.split(": ")[:3] for line in lines(found[:1], tmp_path)] == [
        [found[0].topic, "nothing comes of the records", "FileNotFoundError"]
    ]


def test_a_number_too_many_or_too_few_is_found(found):
    one = found[1]
    fewer = replace(one, measured={name: number for name, number in one.measured.items() if name != "training memory"})
    assert lines([fewer]) == [f"{one.topic}: training memory is not in the headline"]
    more = replace(one, measured={**one.measured, "other": one.measured["training memory"]})
    assert lines([more]) == [f"{one.topic}: other is not in the records"]


def test_an_altered_page_is_found(found, tmp_path):
    page = tmp_path / "README.md"
    page.write_text(script.PAGES[0].read_text())
    assert list(unsaid(found, [page], script.PICTURE)) == []
    printed = found[1].measured["time"].printed
    page.write_text(page.read_text().replace(printed, "0.29×"))
    said = list(unsaid(found, [page], script.PICTURE))
    assert f"README.md: {found[1].topic}: time: '{printed}' is not there" in said
    assert f"README.md: {found[1].topic}: the text is not the headline's" in said


def test_an_altered_picture_is_found(found, tmp_path):
    for kind in (".svg", ".png"):
        shutil.copy(script.PICTURE.with_suffix(kind), tmp_path / f"headlines{kind}")
    drawing = tmp_path / "headlines.svg"
    point = str(found[1].reached)
    drawing.write_text(drawing.read_text().replace(point, "0.29× low rate"))
    assert list(unsaid(found, [], tmp_path / "headlines")) == [
        f"headlines.svg: {found[1].topic}: '{point}' is not in the description"
    ]
    moved = replace(found[1], reached=replace(found[1].reached, ratio=found[1].reached.ratio + 1e-5))
    assert any("is no time of the headline" in line for line in unsaid([moved], [], script.PICTURE))


@pytest.mark.parametrize(("page", "status"), [(None, 0), ("nothing", 1)])
def test_the_script_ends_with_whether_anything_differs(found, page, status, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(script, "headlines", lambda _: found)
    if page:
        (tmp_path / "README.md").write_text(page)
        monkeypatch.setattr(script, "PAGES", [tmp_path / "README.md"])
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert ended.value.code == status
    assert ("no difference" in capsys.readouterr().out) == (status == 0)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Found(0.3626), "0.36×"),
        (Found(18.74), "19×"),
        (Found(0.0351, unit=Unit.SHARE), "3.5 %"),
        (Found(0.96, 0.952, 0.972, unit=Unit.RANGE), "95.2 to 97.2 %"),
        (Found(-0.017, -0.025, -0.009, unit=Unit.CHANGE), "−1.7 ± 0.8 %"),
        (Found(-0.022, -0.105, 0.061, unit=Unit.POINTS), "−2.2 ± 8.3"),
        (Found(-0.0001, -0.01, 0.0098, unit=Unit.POINTS), "+0.0 ± 1.0"),
        (Found(0.988, 0.973, 1.006, unit=Unit.PERCENT), "98.8 [97.3, 100.6] %"),
    ],
)
def test_a_number_is_written_as_pages_print_it(found, text):
    assert written(found) == text


def test_ends_of_a_bootstrap_may_differ_by_its_draws_and_no_more():
    one = Measured(0.988, 0.973, 1.006, "98.8 [97.3, 100.6] %", "record", "variant", Model("a", "b"))
    near = Found(0.988, 0.973 + DRAWN / 2, 1.006, DRAWN, Unit.PERCENT)
    assert list(unlike(one, near)) == []
    assert [line.split()[0] for line in unlike(one, replace(near, low=0.973 + 2 * DRAWN))] == ["low"]
    assert [line.split()[0] for line in unlike(one, replace(near, high=nan))] == ["high"]
    assert next(unlike(one, replace(near, value=0.9885))).startswith("value ")
