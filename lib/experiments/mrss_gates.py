"""What learned gates do: how much of a signal they compute, where, at which accuracy, and what it saves.

Forms that choose what they compute, the original's gate that computes everything, and the baseline, all with the same
number of parameters, learn which slow and which fast state a signal is in. One test signal is kept with its states and
with what every gate made of it. Forward passes are timed as learned, with everything open, and with everything closed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lib import records
from lib.experiments import base, command
from lib.experiments.mrss_gate_uses import after, by_token, forced, packed, unpacked, uses
from lib.experiments.mrss_runs import ROUTING, build
from lib.models.mrss import variants as mrss
from lib.models.ssm import mixers
from lib.models.ssm.mamba import MambaConfig
from lib.profilers.passes import passes
from lib.records import Record
from lib.tasks.data.sequences import BENCHMARKS, Task
from lib.tasks.data.tagging import FAST
from lib.tasks.training.loop import train

NAME = "mrss_gates"
CHAPTER = "mrss"
TRAINED, FORWARD, TRAINING, USED = "trained", "forward", "training", "used"
LEARNED, OPEN, CLOSED = "as learned", "all open", "all closed"
COST = ("form", "gate", "batch", "length", "input_bytes")
PARTS = {
    TRAINED: ("form", "steps", "parameters", "used", "after_fast", "after_slow"),
    FORWARD: COST,
    TRAINING: COST,
    USED: ("form", "mixer", "span", "shares"),
}
BASELINE = "baseline"
FORMS = ("dual", "sparse_gate", "dynamic", "dynamic_rate", "sequence_rate", "hnet")
TASK = "tagging"
SIZES = MambaConfig(dim=32, layers=4)  # of the baseline
LENGTH, TESTED = 512, 64  # tokens of a sequence; sequences of the test
STEPS, BATCH, RATE = 400, 8, 8e-3
TIMED = 16  # sequences of a timed batch
DIGITS = 100  # a unit of the signal in the record


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is trained.

    r       downsampling factor
    steps   of every training; 0 for STEPS, else the run is a trial
    """

    r: int = 8
    steps: int = 0


def run(settings: Settings) -> Record:
    """Train every form from one seed, then time what was learned; some minutes.

    raises   ValueError for a factor at which no width gives the same number of parameters
    """
    cases = base.Cases(PARTS)
    task = BENCHMARKS[TASK](settings.generator(), length=LENGTH, tested=TESTED)
    x, answers = task.test
    models = {}
    for form in (BASELINE, *FORMS):
        models[form] = _train(cases, form, task, settings)
    _time(cases, models, x[:TIMED].to(settings.device), settings)
    for form, model in models.items():
        right = {"accuracies": {settings.seed: task.accuracy(model, (x[:1], answers[:1]))}}
        for number, (span, used) in enumerate(uses(model, x[:1].to(settings.device)), start=1):
            at = {"form": form, "mixer": number, "span": span, "shares": packed(used[0])}
            cases.add(USED, f"{form}, mixer {number}", measured=right, **at)
    signal = " ".join(str(round(DIGITS * value)) for value in x[0, :, 0].tolist())
    slow, fast = ("".join(map(str, states[0].tolist())) for states in _states(answers))
    return base.record(NAME, cases, settings, signal=signal, slow=slow, fast=fast)


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`; what gates used is in `tokens`."""
    return base.frame(found, PARTS).drop(columns="shares")


def accuracies(found: Iterable[Record]) -> pd.DataFrame:
    """One row per training: machine, variant, seed, accuracy, loss [nats], and what the gates used of the test.

    Shares from 0 to 1: `used` of all tokens, `after_fast` and `after_slow` of those soon after a change of state.
    """
    rows = base.by_seed(found, PARTS, accuracies="accuracy", test_losses="loss")
    return rows[rows["part"] == TRAINED].reset_index(drop=True)


def signals(found: Iterable[Record]) -> pd.DataFrame:
    """One row per record and token of its test signal: machine, token, signal, slow and fast state."""
    return pd.concat([_signal(one) for one in found], ignore_index=True)


def tokens(found: Iterable[Record]) -> pd.DataFrame:
    """One row per form, mixer and token of the test signal: machine, form, mixer, token, and the share `used`."""
    rows = [row for one in found for row in _tokens(one)]
    return pd.DataFrame(rows).explode(["token", "used"], ignore_index=True).astype({"token": int, "used": float})


def _train(cases: base.Cases, form: str, task: Task, settings: Settings) -> nn.Module:
    variant = ("single", 1) if form == BASELINE else (form, settings.r)
    config, start = mrss.matched(mrss.MrssConfig(SIZES, *variant)), perf_counter()
    generator, steps = settings.generator(), settings.steps or STEPS
    model = build(config, task, generator).to(settings.device)

    def losses() -> Iterator[Tensor]:
        while True:
            x, answers = task.draw(BATCH, generator)
            logits = model(x.to(settings.device))
            yield task.loss(logits, answers.to(settings.device)) + ROUTING * mrss.balance(model)

    train(model, losses(), steps, rate=RATE, progress=False)
    seconds, (loss, accuracy) = perf_counter() - start, task.judged(model)
    x, answers = task.test
    found, (slow, fast) = uses(model, x.to(settings.device)), _states(answers)
    used = by_token(found, x.shape[1]) if found else torch.ones(answers.shape)
    shares = {"used": used.mean().item(), "after_fast": after(used, fast), "after_slow": after(used, slow)}
    measured = {
        "seconds": [seconds],
        "accuracies": {settings.seed: accuracy},
        "test_losses": {settings.seed: loss},
    }
    at = {"form": form, "steps": steps, "parameters": mrss.parameters(config), **shares}
    cases.add(TRAINED, form, measured=measured, parameters=at)
    return model


def _time(cases: base.Cases, models: Mapping[str, nn.Module], x: Tensor, settings: Settings) -> None:
    """Time passes of all models, and of those whose gates can be held open and closed, interleaved."""
    held = {}
    for form, model in models.items():
        states = {LEARNED: model, OPEN: forced(model, True), CLOSED: forced(model, False)}
        held |= {(form, gate): one for gate, one in states.items() if one is not None}
    named = {form if gate == LEARNED else f"{form}, {gate}": (form, gate) for form, gate in held}
    timed = {name: held[one] for name, one in named.items()}
    costs = passes(timed, x, uncounted=mixers.uncounted, **settings.timing)
    for part, name in product(costs, named):
        form, gate = named[name]
        at = {"form": form, "gate": gate, "batch": x.shape[0], "length": x.shape[1], "input_bytes": x.nbytes}
        cases.add(part, name, costs[part][name], **at)


def _states(answers: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of the slow and of the fast states."""
    return answers // len(FAST), answers % len(FAST)


def _signal(one: Record) -> pd.DataFrame:
    held = one.parameters
    values = np.array(held["signal"].split(), dtype=float) / DIGITS
    states = {name: list(map(int, held[name])) for name in ("slow", "fast")}
    at = {"machine": records.machine_title(one), "token": range(len(values))}
    return pd.DataFrame({**at, "signal": values, **states})


def _tokens(one: Record) -> Iterator[dict]:
    length = len(one.parameters["slow"])
    for case in (case for case in one.cases if case.parameters["part"] == USED):
        at = case.parameters
        used = np.repeat(unpacked(at["shares"]), at["span"])[:length]
        row = {"machine": records.machine_title(one), "form": at["form"], "mixer": at["mixer"]}
        yield row | {"token": list(range(len(used))), "used": used.tolist()}


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
