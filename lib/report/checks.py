"""What decides each claim: functions of what is recorded, named in `data/seed/claims.yml`.

Each hands frames to the function that judges them, which tells how (`claims_<subject>.py`).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pandas as pd

from lib.report import (
    accuracy,
    claims_distill,
    claims_lora,
    claims_mrss,
    claims_report,
    claims_scan,
    claims_ssm,
    frames,
    reproducibility,
)
from lib.report import claims_vtp as vtp
from lib.report.adapting import FULL, USUAL
from lib.report.claims import NOT_TESTABLE, Verdict, claims
from lib.report.evidence import FACTORS, TASKS, Evidence, Missing, known

Check = Callable[[Evidence], Verdict]
BOTTLENECK = "seed's bottleneck, rank 8"
RANK = 16  # at which storage is counted


def judged(evidence: Evidence, ids: Iterable[str] | None = None, which: str = "") -> list[Verdict]:
    """Verdicts on claims, in the order asked for: on all that there are, where none is named.

    which    only checks whose names begin so
    raises   ValueError, quoting it, for a claim that is not there
    """
    ids = list(claims()) if ids is None else list(ids)
    if unknown := [one for one in ids if one not in claims()]:
        raise ValueError(f"claim {unknown[0]!r}: there are {', '.join(claims())}")
    chosen = [claims()[one] for one in ids]
    return [judge(evidence, one.id, name) for one in chosen for name in one.checks if name.startswith(which)]


def judge(evidence: Evidence, claim: str, check: str) -> Verdict:
    """One verdict; "not testable here" where a record or a toy that the check needs is missing or incomplete."""
    if check not in CHECKS:
        raise ValueError(f"check {check!r}: there are {', '.join(CHECKS)}")
    own = evidence.fresh()
    try:
        return replace(CHECKS[check](own), records=tuple(own.used))
    except (Missing, ValueError, KeyError, IndexError) as error:
        said = str(error) if isinstance(error, Missing) else f"what is recorded does not suffice: {error}"
        return Verdict(claim, f"{said[0].upper()}{said[1:]}.", NOT_TESTABLE)


def proxy_latency_falls(e: Evidence) -> Verdict:
    return claims_mrss.latency_falls(e.seed_mrss, e.proxy)


def proxy_runtime_is_sublinear(e: Evidence) -> Verdict:
    return claims_mrss.runtime_is_sublinear(e.proxy_growth)


def proxy_cost_below_twice(e: Evidence) -> Verdict:
    return claims_mrss.cost_below_twice(e.seed_mrss, e.proxy)


def proxy_memory_falls(e: Evidence) -> Verdict:
    return claims_mrss.memory_falls(e.seed_mrss, e.proxy)


def proxy_operations_match(e: Evidence) -> Verdict:
    rows = e.proxy[(e.proxy["variant"] == "baseline") | e.proxy["factor"].isin(FACTORS)]
    return claims_mrss.operations_match(e.seed_mrss, list(rows["flops"]), e.toy("proxy operations"))


def proxy_operations_fall(e: Evidence) -> Verdict:
    return claims_mrss.operations_fall(e.seed_mrss)


def proxy_gate_learns(e: Evidence) -> Verdict:
    return claims_mrss.gate_learns(e.toy("proxy gradients"), e.toy("mended gradients"))


def proxy_fidelity_is_kept(e: Evidence) -> Verdict:
    return claims_mrss.fidelity_is_kept(sum(bool(case.accuracies) for r in e.records("mrss_proxy") for case in r.cases))


def throughput_rises(e: Evidence) -> Verdict:
    return claims_mrss.throughput_rises(e.seed_mrss)


def scan_latency_falls(e: Evidence) -> Verdict:
    return claims_scan.latency_falls(e.dual("dual as wide"), e.dual("dual"))


def scan_runtime_is_sublinear(e: Evidence) -> Verdict:
    rows = frames.where(e.scan["forward"], dim=e.scan_sizes["width"], variant=f"dual as wide, r = {e.scan_sizes['r']}")
    return claims_scan.runtime_is_sublinear(known(frames.slopes(known(rows, "seconds")), "slope", "low", "high"))


def scan_cost_below_twice(e: Evidence) -> Verdict:
    return claims_scan.cost_below_twice(e.dual("dual as wide"))


def scan_memory_falls(e: Evidence) -> Verdict:
    return claims_scan.memory_falls(e.dual_by_factor())


def scan_operations_match(e: Evidence) -> Verdict:
    sized, factor = ["machine", "dim", "length"], e.scan_sizes["r"]
    base, double = (
        known(frames.where(e.scan["forward"], variant=name), "flops").set_index(sized)["flops"]
        for name in ("baseline", f"dual as wide, r = {factor}")
    )
    at = base.index.to_frame()
    gate = 2 * e.scan_sizes["layers"] * at["length"] * at["dim"] ** 2
    return claims_scan.operations_match(((1 + 1 / factor) * base + gate).to_dict(), double.to_dict())


def scan_gate_learns(e: Evidence) -> Verdict:
    return claims_scan.gate_learns(e.toy("weights without gradient"))


def scan_fidelity_is_kept(e: Evidence) -> Verdict:
    rows = frames.where(e.resolutions, variant=f"dual, r = {e.scan_sizes['r']}", budget="steps")
    known(rows, "difference_low", "difference_high", each={"task": TASKS})
    return claims_scan.fidelity_is_kept(rows)


def proxy_stands_for_the_scan(e: Evidence) -> Verdict:
    return claims_scan.proxy_stands_for_it(e.proxy, e.dual_by_factor())


def trains_as_a_convolution(e: Evidence) -> Verdict:
    return claims_ssm.trains_as_a_convolution(e.toy("superposition"))


def selection_saves_compute(e: Evidence) -> Verdict:
    return claims_ssm.selection_saves_compute(e.gate)


def cost_is_quadratic_in_width(e: Evidence) -> Verdict:
    sizes = (("scan", "D", "widths", "dim"), ("block", "D", "widths", "dim"), ("scan", "N", "states", "states"))
    return claims_ssm.cost_is_quadratic_in_width(
        {f"{variant} over {letter}": e.counted(variant, part, over) for variant, letter, part, over in sizes}
    )


def time_is_linear(e: Evidence) -> Verdict:
    return claims_ssm.time_is_linear(e.mixing_growth)


def low_rank_stores_little(e: Evidence) -> Verdict:
    sizes = e.records("distillation")[0].parameters
    length, square = sizes["length"], sizes["dim"] ** 2
    stored = {"claimed": RANK / length, "counted": RANK * (length + square) / (length * square)}
    return claims_distill.low_rank_stores_little(e.ranks, stored)


def low_rank_is_faster(e: Evidence) -> Verdict:
    return claims_distill.low_rank_is_faster(e.low_rank)


def tokens_per_image(e: Evidence) -> Verdict:
    return vtp.tokens_per_image(e.toy("patches"))


def attention_is_the_bottleneck(e: Evidence) -> Verdict:
    return vtp.attention_is_the_bottleneck(pd.DataFrame(e.toy("operations by part")))


def latency_is_quadratic(e: Evidence) -> Verdict:
    patches = e.toy("patches")[224]
    tokens = 1 + (e.pruned["keep"] * patches).astype(int)
    return vtp.latency_is_quadratic(frames.slopes(e.pruned.assign(variant="seed's code", tokens=tokens), over="tokens"))


def latency_at_half(e: Evidence) -> Verdict:
    return vtp.latency_at_half(e.seed_vtp, e.pruned)


def memory_at_half(e: Evidence) -> Verdict:
    return vtp.memory_at_half(e.seed_vtp, e.pruned, e.toy("encoder's bytes"))


def latency_falls_monotonically(e: Evidence) -> Verdict:
    return vtp.latency_falls_monotonically(e.seed_vtp, e.pruned)


def accuracy_is_kept(e: Evidence) -> Verdict:
    return vtp.accuracy_is_kept(accuracy.compared(e.reduced, "untouched", ("variant", "keep")), e.toy("prompts alike"))


def norm_tells_importance(e: Evidence) -> Verdict:
    return vtp.norm_tells_importance(e.reduced_against("L2 norm", "random"))


def summary_keeps_context(e: Evidence) -> Verdict:
    return vtp.summary_keeps_context(e.reduced_against("L2 norm, summary", "L2 norm"))


def works_as_written(e: Evidence) -> Verdict:
    return vtp.works_as_written(*e.toy("seed's forms"))


def cosine_of_features(e: Evidence) -> Verdict:
    rows = e.reduced[e.reduced["variant"] == "seed's code"]
    return vtp.cosine_of_features(known(rows, "cosine", each={"keep": (1.0, 0.5)}), e.toy("seed's forms")[0])


def bottleneck_is_lora(e: Evidence) -> Verdict:
    return claims_lora.bottleneck_is_lora(e.toy("starts"))


def keeps_alignment(e: Evidence) -> Verdict:
    names = {USUAL: "LoRA", BOTTLENECK: "bottleneck"}
    rows = accuracy.compared(e.adapted, FULL, ("variant",))
    shares = e.adapted.drop_duplicates("variant").set_index("variant")["share"]
    found = {name: shares[variant] for variant, name in names.items()}
    known(rows, "difference_low", "difference_high", each={"variant": names})
    return claims_lora.keeps_alignment(rows.assign(variant=rows["variant"].replace(names)), found)


def adapters_are_few(e: Evidence) -> Verdict:
    return claims_lora.adapters_are_few(e.toy("weights of a projection"), e.adapting_cost)


def can_be_repeated(e: Evidence) -> Verdict:
    return claims_report.can_be_repeated(reproducibility.checklist(), reproducibility.named_files())


def tables_agree(e: Evidence) -> Verdict:
    return claims_report.tables_agree(e.seed_mrss, e.seed_vtp)


CHECKS: dict[str, Check] = {name: globals().get(name) for one in claims().values() for name in one.checks}
if LACKING := [name for name, check in CHECKS.items() if check is None]:
    raise ValueError(f"data/seed/claims.yml: {LACKING[0]!r} is no function of lib.report.checks")
