"""All experiments of cost on one device, job by job: `python -m lib.experiments gpu --help`.

    jobs.py      the table of jobs, with an estimate of each one's time
    command.py   the command line
    turns.py     one job after another, each in a process of its own, with a limit
    preload.py   what all of these processes import
    work.py      what happens in such a process
    kept.py      what stays: records, what is known of each job, the archive
    summary.py   the table at the end

What is measured stands in the experiments themselves; sizes, in `data/presets/<chapter>/gpu.yml`.
"""
