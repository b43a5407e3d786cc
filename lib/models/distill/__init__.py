"""Kernel distillation: long kernels of trained models as few modes, as a low rank, or as few taps.

A method is a row of `lib.names.DISTILLATIONS` and a function of the row's name in the row's file:

    method(source, order, *, length=1024) -> Distilled
        source   an S4D, or a bank of kernels (D, L)
        order    of what it makes: states, rank, taps
        length   taps of a layer's kernel that count
        returns  see `lib.models.distill.distilled`

`replace.distill` reduces the layers of a model by it, `replace.deployed` makes the result ready to run.
"""
