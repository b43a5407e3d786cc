"""Experiments: one file per record, with its parts and columns, `run`, `frame` and `main`."""
