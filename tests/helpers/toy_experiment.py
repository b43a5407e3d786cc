"""An experiment of no cost, for the command that runs jobs: it ends as its settings say."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from lib.experiments import base
from lib.profilers.profile import Profile

CHAPTER = "mrss"
PART = "part"
PARTS = {PART: ("length",)}


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """How the job ends, and the file in which it counts its runs."""

    name: str
    how: str = "well"
    count: str = ""


def run(settings: Settings):
    """Add a case, then end as the settings say."""
    if settings.count:
        with Path(settings.count).open("a") as file:
            file.write(f"{settings.name}\n")
    cases = base.Cases(PARTS)
    cases.add(PART, "baseline", Profile(seconds=[0.2, 0.2]), length=1)
    cases.add(PART, "variant", Profile(seconds=[0.1, 0.1]), length=1)
    match settings.how:
        case "full":
            cases.add(PART, "large", Profile(error="out of memory: 1 GiB"), length=1)
        case "raises":
            raise ValueError("length = 0: at least 1 is needed\nand more")
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "sleeps":
            time.sleep(100)
    return base.record(settings.name, cases, settings)
