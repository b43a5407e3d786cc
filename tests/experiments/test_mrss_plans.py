"""Plans of the fair comparison: what is trained, under which label."""

import pytest

from lib import names
from lib.experiments.mrss_plans import BASELINE, MIXED, PLANS, Plan, Variant, source_of, title, variants
from lib.models.mrss import variants as mrss
from lib.models.mrss.variants import MrssConfig

SMALL = {"dim": 40, "layers": 2, "states": 4}


def test_every_benchmark_has_a_plan_and_the_longest_images_take_a_gpu():
    assert {plan.task for plan in PLANS.values()} == set(names.BENCHMARKS)
    assert [name for name, plan in PLANS.items() if plan.gpu] == ["cifar_grey"]


def test_the_baseline_comes_first_and_forms_have_its_number_of_parameters():
    made = variants(Plan("tagging", 8, 2, {"low": (4, 8), "hybrid": (8,), "wrapped": (1,)}, **SMALL))
    assert list(made) == [BASELINE, "low, r = 4", "low, r = 8", "hybrid, r = 8", "wrapped"]
    wanted = mrss.parameters(made[BASELINE].config)
    assert all(abs(mrss.parameters(one.config) / wanted - 1) <= mrss.NEAR for one in made.values())


def test_the_original_report_s_forms_stand_as_wide_and_with_as_many_parameters():
    made = variants(Plan("tagging", 8, 2, {"dual": (4,)}, **SMALL))
    assert set(made) == {BASELINE, "dual, r = 4", "hierarchy", "dual as wide, r = 4", "hierarchy as wide"}
    assert made["hierarchy as wide"].config.factor == made["hierarchy"].config.factor == (2, 4, 8)
    wanted = mrss.parameters(made[BASELINE].config)
    assert mrss.parameters(made["dual as wide, r = 4"].config) > 1.5 * wanted


def test_a_hybrid_may_have_one_block_at_the_full_rate():
    made = variants(Plan("tagging", 8, 2, {"hybrid 1 + 3": (4,)}, dim=40, layers=4, states=4))
    config = made["hybrid 1 + 3, r = 4"].config
    assert (config.variant, config.at_full, config.mamba.layers) == ("hybrid", 1, 4)


def test_a_stem_and_larger_patches_leave_the_blocks_as_they_are():
    plan = Plan("cifar", 8, 2, {"patches": (4,)}, patches=(4,), **SMALL)
    made = variants(plan)
    assert made["patches, r = 4"] == Variant(MrssConfig(plan.sizes, "patches", 4))
    assert made["4 x 4 patches"] == Variant(MrssConfig(plan.sizes), (("patch", 4),))


@pytest.mark.parametrize("name", PLANS)
def test_plans_name_forms_and_benchmarks_that_there_are(name):
    plan = PLANS[name]
    assert plan.task in names.BENCHMARKS
    assert set(plan.forms) <= {*names.FORMS, *names.STEMS, *MIXED}
    assert plan.steps >= 4


def test_readers_tell_plans_of_one_benchmark_apart():
    assert title("tagging") == "tagging"
    assert title("tagging_4096") == "tagging, T = 4,096"
    assert title("mqar_deep") == "MQAR, 4 blocks"
    assert title("cifar_forms") == "CIFAR-10, 2 x 2 patches, other forms"
    assert len({title(name) for name in PLANS}) == len(PLANS)


def test_images_have_a_source_and_other_tasks_none():
    assert source_of(PLANS["cifar"], "") == source_of(PLANS["cifar_forms"], "cifar10") == {"source": "uoft-cs/cifar10"}
    assert source_of(PLANS["cifar"], "folder") == {"source": "folder"}
    assert source_of(PLANS["tagging"], "folder") == {}
