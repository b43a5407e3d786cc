"""Fewer states in a trained Mamba: which of N a block keeps, chosen by what data shows of them.

B and C of a block are shared by all of its channels, so that only a choice for the whole block saves anything. A
criterion is a row of `lib.names.STATE_CHOICES` and a function of the row's name in the row's file:

    criterion(moments, keep, *, generator=None) -> Choice
        moments    what a batch shows of one block, see `lib.models.distill.states.moments`
        keep       K of its N states
        generator  what a draw is drawn with
        returns    the states, and how the rows of C make the new ones, see `lib.models.distill.states.choice`

`reduce.reduce_states` makes the smaller model by it: a Mamba of K states, without anything added.
"""
