"""The ideas behind state space models, a few lines each, as the background chapter shows and checks them.

None of them is fast: what computes is in the files around this room. Symbols: `lib/__init__.py`.
"""
