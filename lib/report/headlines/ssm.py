"""The selective scan against the strongest peer of each pass, with freed memory kept, as in all other records."""

from lib.experiments import ssm_scan
from lib.experiments import ssm_scan_jobs as bench
from lib.report import frames, units
from lib.report.evidence import Evidence
from lib.report.headlines.case import Headline, Measured, Model, Point, itemised
from lib.report.views.base import known
from lib.report.views.files import naming_files
from lib.report.views.ssm import ours

SIZES = ("batch", "length", "dim", "states", "threads")
PASSES = {"forward pass": bench.FORWARD, "training step": bench.TRAINING}


@naming_files
def headline(e: Evidence) -> Headline:
    """Both passes of our fastest backend at one size, each relative to its own strongest peer.

    raises   Missing where a pass has no peer; ValueError where the two passes are of different sizes
    """
    rows = known(ours(e.peers), each={"part": PASSES.values()})
    by = {name: frames.only(rows, part=part) for name, part in PASSES.items()}
    found = {name: _as_fast(row) for name, row in by.items()}
    model = found["forward pass"].model
    at, dtype = model.sizes, e.records(ssm_scan.NAME)[0].parameters["dtype"]
    said = [f"**{one.printed}** as fast in a {name} ({by[name]['best']})" for name, one in found.items()]
    return Headline(
        topic="Selective scan",
        text=itemised(
            f"The selective scan is {units.listed(said)}, relative to the strongest peer of each pass.",
            f"That is on {at['threads']} CPU threads, with {at['batch']} sequences of {at['length']:,} tokens, "
            f"{at['dim']} channels and {at['states']} states in {dtype}.",
            "All compute the same function: each is checked against the definition in double precision before it is "
            "timed.",
        ),
        chapter="ssm_background",
        machine=e.title,
        model=model,
        measured=found,
        beside={},
        baseline=str(by["forward pass"]["best"]),
        proposed=None,
        reached=Point(1 / found["forward pass"].value, "forward, the same function"),
    )


def _as_fast(row) -> Measured:
    """How many times our latency the strongest peer takes."""
    value, high, low = (1 / float(row[name]) for name in ("latency_ratio", "latency_ratio_low", "latency_ratio_high"))
    sizes = {name: int(row[name]) for name in SIZES}
    model = Model(row["variant"], "selective scan", sizes)
    return Measured(value, low, high, units.times(value), ssm_scan.NAME, f"{row['variant']}, {row['part']}", model)
