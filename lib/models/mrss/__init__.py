"""Multi-resolution selective scanning: forms of Mamba of which a part runs at a lower temporal resolution.

A form is a row of `lib.names.FORMS` and a file here, which defines

    mixers(config, *, generator=None) -> iterator of modules
        what mixes tokens, first to last, at a factor above 1: modules (B, T, D) -> (B, T, D) that stream, see
        `lib.models.ssm.streaming`; weights are drawn from the generator as the iterator is read
    check(config), where a form has a rule of its own
        raises ValueError for a config that it cannot serve
    SEVERAL = True, where a form takes several factors at once
    FULL_RATE = True, where a form has no low rate, so that at a factor of 1 it is itself and not the baseline

A module that has a term of the loss of its own has `balance()`, see `dynamic.balance`; one whose cost depends on its
input has `spend()`, see `dynamic.spend`; one that chooses what it computes keeps what it chose, see `routing`.

A stem is a row of `lib.names.STEMS`, a control of tasks with one answer a sequence, and a file in `stems/`.

`variants` builds models of all forms.
"""
