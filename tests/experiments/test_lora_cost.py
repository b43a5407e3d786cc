"""Costs of adapters at smoke size: what is written is read by every number, figure, table and judge."""

import matplotlib as mpl
import pytest
import yaml

mpl.use("agg")
from lora_records import TOYS, read
from rehearsal import COMMITTED, COST, evidence

from lib import records
from lib.experiments import base, lora_cost, lora_tokens
from lib.experiments.lora_cost import APART, COLUMNS, DEPLOYED, LEARNS, MERGED, OTHER, SMALL, STEP, UNREDUCED, Settings
from lib.experiments.lora_training import FULL, USUAL
from lib.paths import PRESETS
from lib.profilers.profile import Profile
from lib.report.chapters import lora as chapter

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="session")
def made():
    return lora_cost.run(Settings.of(yaml.safe_load((PRESETS / "lora/smoke.yml").read_text())))


def test_every_part_holds_what_it_compares(made):
    rows = lora_cost.frame([made])
    variants = {part: list(group["variant"]) for part, group in rows.groupby("part")}
    assert variants[STEP] == [FULL, USUAL, f"peft: {USUAL}", OTHER, f"peft: {OTHER}"]
    assert variants[DEPLOYED] == [UNREDUCED, APART, MERGED]
    assert variants[SMALL] == [UNREDUCED, *lora_tokens.VARIANTS]
    assert rows["error"].isna().all()
    assert rows[["seconds", "memory_bytes", "flops"]].gt(0).all(axis=None)


def test_tokens_are_patches_and_the_class_token():
    assert lora_cost.tokens("openai/clip-vit-base-patch16") == (224 // 16) ** 2 + 1
    assert lora_cost.tokens(Settings.small) == 64 + 1


def test_adapters_of_ours_and_of_peft_learn_the_same_number_of_weights(made):
    rows = lora_cost.frame([made]).set_index("variant")
    for name in (USUAL, OTHER):
        assert rows.loc[name, list(LEARNS)].tolist() == rows.loc[f"peft: {name}", list(LEARNS)].tolist()


def test_fewer_ways_are_timed_where_a_chapter_only_shows_them(monkeypatch):
    monkeypatch.setattr(lora_cost, "profile", lambda calls, **_: {name: Profile([1.0], 1, 1) for name in calls})
    settings = Settings(timed="clip-scenes-0", batch=2, runs=2, warmup=0, every=False)
    rows = lora_cost.frame([lora_cost.run(settings)])
    assert list(rows[rows["part"] == STEP]["variant"]) == [FULL, USUAL, f"peft: {USUAL}"]


def test_every_reader_reads_it(made, tmp_path):
    found = evidence(tmp_path, made, toys=TOYS)
    assert "clip-scenes-0" in read(found)[0]  # the record's own model


def test_the_committed_record_is_read():
    rows = lora_cost.frame([records.read(COMMITTED / "lora_cost.json")])
    assert rows.groupby("part").size().to_dict() == {DEPLOYED: 3, SMALL: 8, STEP: 5}
    assert lora_cost.NAME in COST


def test_a_case_without_a_declared_column_is_refused():
    with pytest.raises(ValueError, match="trainable, total, gradient_bytes, optimiser_bytes not given"):
        base.Cases(lora_cost.PARTS).add(STEP, FULL, **dict.fromkeys(COLUMNS, 1))


def test_a_model_of_unknown_sizes_is_named():
    with pytest.raises(ValueError, match="clip-nobody"):
        lora_cost.run(Settings(timed="clip-nobody", batch=1, runs=2, warmup=0))


def test_a_machine_without_the_record_is_not_compared(made, tmp_path):
    found = evidence(tmp_path, toys=TOYS, without=["lora_cost"])
    assert chapter.across_machines(found).empty
