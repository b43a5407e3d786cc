"""Stems: what shortens a sequence r-fold before the first block, so that all blocks are the baseline's at T / r.

A stem is a row of `lib.names.STEMS` and a file here, which defines

    shortened(x, factor) -> (B, n, F')
        the tokens of the n = T // r complete chunks of a sequence (B, T, F); tokens after the last one are left out
    features(width, factor) -> F'
        features of such a token, where one of the sequence has F = width

A stem has no weights: the classifier's first linear map, from F' features to D channels, follows it.
No stem can serve an answer at every token: the tokens are gone.
"""
