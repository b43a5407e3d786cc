"""How each benchmark is trained in the fair comparison: sizes, steps, and which multi-resolution models."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lib import names
from lib.models.mrss import variants as mrss
from lib.models.mrss.variants import MrssConfig
from lib.models.ssm.mamba import MambaConfig
from lib.tasks.data.images import CIFAR10

BASELINE = "baseline"
MIXED = {"hybrid 1 + 3": ("hybrid", 1)}  # other numbers of full-rate blocks than half of them: form, and that number
FACTORS = {"low": (2, 4, 8, 16), "hybrid": (8,), "hybrid 1 + 3": (4, 8)}
FORMS = {  # other forms, controls and peers, on one task of each kind
    "dynamic": (4,),
    "dual": (4,),
    "wrapped": (1,),
    "hiss": (4,),
    "scale_mixer": (4,),
    "hnet": (4,),
    "sparse_gate": (4,),
    "dynamic_rate": (4,),
}


@dataclass(frozen=True)
class Plan:
    """How one benchmark is trained.

    task      a row of `lib.names.BENCHMARKS`
    steps     of the baseline; a trial of a learning rate takes a quarter of them
    batch     sequences of a step
    forms     of `lib.names.FORMS` or `lib.names.STEMS`, or of MIXED -> factors; 1 for a control without a low rate
    dim, layers, states   of the baseline
    options   sizes of the task
    lengths   of sequences that the trained models are judged by, too
    longer    the size of the task that such a length is
    patches   of an image task: sides of the patches behind which the baseline is trained, too
    seeds     trainings of a variant
    timed     whether variants are trained for the baseline's time, too
    gpu       whether it takes a GPU: on a CPU a day or more
    """

    task: str
    steps: int
    batch: int
    forms: Mapping[str, tuple[int, ...]]
    dim: int = 64
    layers: int = 4
    states: int = 16
    options: Mapping[str, int] = field(default_factory=dict)
    lengths: tuple[int, ...] = ()
    longer: str = "length"
    patches: tuple[int, ...] = ()
    seeds: int = 3
    timed: bool = True
    gpu: bool = False

    @property
    def sizes(self) -> MambaConfig:
        """Sizes of the baseline."""
        return MambaConfig(dim=self.dim, layers=self.layers, states=self.states)


LONGER = (256, 512, 1024, 4096)
USUAL = {"low": (4, 8), "hybrid 1 + 3": (4, 8)}
RECALL = {"low": (4,), "hybrid": (4,)}
DEEP = {"hybrid 1 + 3": (8,)}  # the hybrids that save most: those of two blocks save a tenth
RECALLING = {"layers": 2, "timed": False}  # as many blocks as the sources have
ARCHIVE = {"low": (4,), "hybrid 1 + 3": (4,), "patches": (4,)}
IMAGES = {"low": (4,), "hybrid 1 + 3": (4,), "patches": (4,)}
GREY = {"low": (4, 8), "hybrid 1 + 3": (4, 8), "patches": (4,)}
SHORT = {"strided": (4,), "pooled": (4,), "sequence_rate": (4,)}
HIDDEN = {"noise": 60, "items": 4, "vocabulary": 10}  # of selective copying
NOISE = (252, 1020, 4092)
ASKED = {"length": 32, "vocabulary": 34}  # of MQAR: every key among half of its tokens
PLANS = {
    "tagging": Plan("tagging", 600, 8, FACTORS),
    "tagging_forms": Plan("tagging", 300, 4, FORMS, seeds=2, timed=False),
    "tagging_4096": Plan("tagging", 120, 2, {"low": (8,), "hybrid 1 + 3": (8,)}, dim=256, options={"length": 4096}),
    "characters": Plan("characters", 800, 8, {"low": (4,), "hybrid": (8,), "hybrid 1 + 3": (4, 8)}),
    "forecasting": Plan("forecasting", 500, 16, USUAL),
    "filling": Plan("filling", 300, 16, USUAL),
    "mqar": Plan("mqar", 3000, 64, {"low": (4,), "hybrid": (2, 4, 8)}, options=ASKED, lengths=LONGER, **RECALLING),
    "mqar_deep": Plan("mqar", 2500, 64, DEEP, options=ASKED, lengths=LONGER, timed=False),
    "copying_long": Plan("copying_long", 1000, 64, RECALL, options=HIDDEN, lengths=NOISE, longer="noise", **RECALLING),
    "induction_long": Plan("induction_long", 1500, 32, RECALL, options={"length": 64}, lengths=LONGER, **RECALLING),
    "cifar": Plan("cifar", 700, 16, IMAGES, patches=(4,)),
    "cifar_grey": Plan("cifar_grey", 2000, 32, GREY, seeds=1, timed=False, gpu=True),
    "cifar_forms": Plan("cifar", 300, 16, FORMS | SHORT, seeds=2, timed=False),
    "plaid": Plan("plaid", 300, 8, ARCHIVE),
    "vowels": Plan("vowels", 300, 32, ARCHIVE, seeds=5),
    "basic_motions": Plan("basic_motions", 200, 16, ARCHIVE, seeds=5),
}


def source_of(plan: Plan, named: str) -> dict[str, str]:
    """Where the images of a plan come from, as an option of its task; none where its task is not of images.

    named    the hub's name or a folder; "cifar10" and nothing stand for the hub's
    """
    of_images = plan.task.startswith("cifar")
    return {"source": CIFAR10 if named in ("", "cifar10") else named} if of_images else {}


def title(name: str) -> str:
    """What readers call a plan: its benchmark, and how it differs from the plan of the benchmark's own name."""
    plan = PLANS[name]
    if name == plan.task:
        return names.BENCHMARKS[plan.task].label
    own, differing = PLANS[plan.task], ", other forms"
    if plan.layers != own.layers:
        differing = f", {plan.layers} blocks"
    elif plan.options.get("length") != own.options.get("length"):
        differing = f", T = {plan.options['length']:,}"
    return names.BENCHMARKS[plan.task].label + differing


@dataclass(frozen=True)
class Variant:
    """What is trained under one label: a model, and sizes of the task that differ from the plan's."""

    config: MrssConfig
    options: tuple[tuple[str, int], ...] = ()


def variants(plan: Plan) -> dict[str, Variant]:
    """Label in records and figures -> variant: the baseline, then every form at its factors, then patches.

    Forms have the baseline's number of parameters within 3 %; the original report's two forms stand in all plans that
    have "dual" also as wide as the baseline: with one low-rate branch, and with three.
    """
    sizes = plan.sizes
    made = {BASELINE: Variant(MrssConfig(sizes))}
    for form, factors in plan.forms.items():
        for factor in factors:
            variant, full = MIXED.get(form, (form, None))
            config = MrssConfig(sizes, variant, factor, full)
            label = form if factor == 1 else f"{form}, r = {factor}"
            made[label] = Variant(config if form in names.STEMS else mrss.matched(config))
        if form == "dual":
            made["hierarchy"] = Variant(mrss.matched(MrssConfig(sizes, "dual", mrss.HIERARCHY)))
            made |= {label: Variant(config) for label, config in mrss.proposed(sizes, factors[0]).items()}
    for side in plan.patches:
        made[f"{side} x {side} patches"] = Variant(MrssConfig(sizes), (("patch", side),))
    return made
