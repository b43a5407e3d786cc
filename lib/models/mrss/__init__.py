"""Multi-resolution selective scanning: forms of Mamba of which a part runs at a lower temporal resolution.

A form is a row of `lib.names.FORMS` and a file here, which defines

    mixers(config, *, generator=None) -> iterator of modules
        what mixes tokens, first to last, at a factor above 1: modules (B, T, D) -> (B, T, D) that stream, see
        `lib.models.ssm.streaming`; weights are drawn from the generator as the iterator is read
    check(config), where a form has a rule of its own
        raises ValueError for a config that it cannot serve
    SEVERAL = True, where a form takes several factors at once

`variants` builds models of all forms.
"""
