"""Few images per class: settings are chosen on images held back, and every reader reads what is written."""

from dataclasses import replace

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch

mpl.use("agg")
from refusals import refused
from rehearsal import evidence

from lib.experiments import lora_shots
from lib.experiments.lora_shot_runs import PROBE, WORDS, ZERO, Training, data_of, few, judged
from lib.experiments.lora_shots import GROWING, LABELS, LORA, ROOT, WHOLE, Settings, ranked
from lib.report import prose
from lib.report.chapters import lora_shots as chapter
from lib.report.figures import lora_shots as drawn
from lib.report.frames import where
from lib.report.tables import lora_shots as tabled
from lib.tasks.data.images import Images

BEST = {PROBE: 100.0, WORDS: 1e-2}  # settings by which a kind is best here; 3e-3 of all others
HIGH = 3e-4  # of the highest rank of a scale that grows


def pretended(plan):
    """An outcome by hand: a kind is best at its setting, and each image per class is worth half a point."""
    best = BEST.get(plan.kind, HIGH if plan.rank == 32 and plan.alpha > 4 and plan.kind == "lora" else 3e-3)
    lost = 0.0 if plan.kind == ZERO or plan.setting == best else 0.2
    value = (0.1 if plan.kind == ZERO else 0.5 + plan.shots / 200) - lost + plan.seed / 100
    return {"accuracy": value, "seconds": 1.0, "trainable": plan.rank, "finite": plan.setting < 0.02}


@pytest.fixture(scope="module")
def made():
    """A record of outcomes by hand, and all trainings that were asked for."""
    seen = []

    def sweep(plans, work, _):
        plans = list(plans)
        seen.extend(plans)
        return {plan: pretended(plan) for plan in plans}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lora_shots, "sweep", sweep)
        return lora_shots.run(Settings(task="scenes")), seen


def test_settings_are_chosen_on_images_held_back_and_test_images_judge_once(made):
    record, seen = made
    tried, last = ([plan for plan in seen if plan.trial == trial] for trial in (True, False))
    assert {plan.shots for plan in tried} == {WHOLE.chosen_at}
    assert len(last) == len(set(last))
    rows = lora_shots.outcomes([record])
    chosen = {(row.kind, row.rank, row.alpha): row.setting for row in rows[rows["own"].astype(bool)].itertuples()}
    assert chosen.pop((ZERO, 0, 0.0)) == 0
    assert chosen.pop((PROBE, 0, 0.0)) == BEST[PROBE]
    assert chosen.pop((WORDS, 0, 0.0)) == BEST[WORDS]
    assert chosen.pop(("lora", 32, 64.0)) == HIGH
    assert set(chosen.values()) == {3e-3}


def test_all_have_as_many_trials(made):
    tried = lora_shots.outcomes([made[0]], lora_shots.TRIED)
    assert set(tried.groupby("variant")["setting"].nunique()) == {len(WHOLE.rates)} == {len(WHOLE.strengths)}


def test_ranks_learn_at_one_rate_and_at_their_own(made):
    rows = lora_shots.outcomes([made[0]])
    one = where(rows, own=False)
    assert set(one["setting"]) == set(where(rows, variant=LORA)["setting"])
    assert set(one["shots"]) == {WHOLE.shots[-1]}
    assert set(one["rank"]) == set(WHOLE.ranks)


@pytest.mark.filterwarnings("ignore")
def test_every_reader_reads_it(made, tmp_path):
    found = evidence(tmp_path, made[0])
    numbers = chapter.numbers(found)
    (task,) = numbers.tasks
    assert task.growing.word == "below"
    assert task.growing.difference == pytest.approx(-0.2)
    assert task.rooted.difference == task.tuned.difference == pytest.approx(0)
    assert task.rates == (3e-3, HIGH)
    assert (task.zero, task.few, task.many) == pytest.approx((0.11, 0.515, 0.59))
    assert numbers.lacking == ["CIFAR-10"]
    text = prose.render("lora/shots", numbers).data
    assert "Not recorded yet: CIFAR-10" in text
    assert all(ax.has_data() for ax in drawn.by_shots(found).axes)
    plt.close("all")
    tables = [make(found, "Table 1. T").data for make in (tabled.kinds_table, tabled.ranks_table)]
    assert all(label in tables[0] for label in LABELS.values())
    assert tables[1].count("rsLoRA") == 0
    assert tables[1].count(ROOT) == tables[1].count(GROWING) == len(WHOLE.ranks)
    assert not [one for one in (text, *tables) if "nan" in one or "None" in one]


def test_without_a_record_the_text_says_so(tmp_path):
    found = evidence(tmp_path)
    if chapter.recorded(found):
        pytest.skip("a record is committed")
    assert "Not recorded yet" in prose.render("lora/shots", chapter.numbers(found)).data


def test_shots_are_of_every_class_and_fewer_are_among_more():
    generator = torch.Generator().manual_seed(0)
    classes = torch.randint(0, 3, (60,), generator=generator)
    pool = Images(torch.arange(60).view(-1, 1, 1, 1).expand(60, 3, 2, 2).byte(), classes, ("a", "b", "c"), ("a {}.",))
    chosen = {shots: few(pool, shots, torch.Generator().manual_seed(1)) for shots in (1, 4)}
    for shots, one in chosen.items():
        assert one.classes.bincount().tolist() == [shots] * 3
        numbers = one.images[:, 0, 0, 0].long()
        assert torch.equal(classes[numbers], one.classes)
    one, four = (set(found.images[:, 0, 0, 0].tolist()) for found in chosen.values())
    assert one < four
    with refused("shots = 60: there are "):
        few(pool, 60, generator)


def test_what_cannot_be_is_refused():
    with refused("kind = 'svd': one of lora, rslora, lora_plus, dora, pissa, words, zero_shot, probe is needed"):
        Training("scenes", 0, "svd", 1)
    with refused("setting = 0.0: more than 0 is needed"):
        Training("scenes", 0, "lora", 1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dora", "pissa", WORDS, PROBE, ZERO])
def test_a_training_is_judged(kind, monkeypatch):
    learns = kind not in (PROBE, ZERO)
    ranked_ = {"rank": 2, "alpha": 4.0} if kind in ("dora", "pissa") else {}
    plan = Training("scenes", 0, kind, 1, 2 * learns, 0.0 if kind == ZERO else 1e-3, tested=16, **ranked_)
    found = judged(plan)
    assert 0 <= found["accuracy"] <= 1
    assert found["finite"]
    assert (found["trainable"] > 0) == (kind != ZERO)


@pytest.mark.slow
def test_images_held_back_are_learned_from_in_no_trial():
    plan = Training("scenes", 0, WORDS, 2, 1, 1e-3, tested=32)
    sets = [data_of(plan)[1], data_of(replace(plan, trial=True))[1], data_of(plan)[0]]
    seen = [{image.numpy().tobytes() for image in one.images} for one in sets]
    assert not seen[0] & seen[1]
    assert not seen[2] & (seen[0] | seen[1])


def test_scales_agree_at_the_lowest_rank():
    scaled = {"lora": lambda alpha, rank: alpha / rank, "rslora": lambda alpha, rank: alpha / rank**0.5}
    found = [scaled[kind](alpha(lora_shots.LOWEST), lora_shots.LOWEST) for kind, alpha in lora_shots.SCALES.values()]
    assert found == pytest.approx([2.0] * 3)
    assert ranked(8, ROOT) in lora_shots.variants(WHOLE)
