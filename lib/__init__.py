"""Models and profilers behind the report's chapters. Nothing is re-exported: import the module you need.

    paths         where things are in this repository
    files         files and folders that are there whole or not at all, tried before, read with care
    names         tables of chapters, methods, backends and tasks, which every layer reads
    colab         where a notebook was opened from
    requirements  what an interpreter lacks to run a chapter
    kernels       the selective scan's backends: C++, CUDA, torch; the recurrence of modes: C++, torch
    models        torch modules and pure functions, a room per subject
    profilers     latency, memory, FLOPs of any callable
    tasks         seeded data, and the loop that trains on it
    processes     processes that end with the one that started them
    provenance    on which machine, with which versions, at which commit
    records       one measured run, written to and read from data/runs
    experiments   one file per record: what is measured, and how it is read again
    report        records made into tables, figures, verdicts and prose

Symbols, as in the papers; a test holds the page `book/notation.md` to this list.

    B  batch
    T  sequence length, in tokens
    D  model dimension, the number of channels
    E  channels inside a Mamba block
    G  groups of channels that share one B and one C of a scan
    N  state size per channel
    M  damped modes per channel
    K  taps of a convolution
    L  taps of a long kernel
    S  tokens of an image
    R  rank of a product of two matrices (called `rank` in code)
    r  downsampling factor (called `factor` in code)
"""
