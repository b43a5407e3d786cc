"""Headlines computed again from the raw JSON files, by an arithmetic of its own: `python -m lib.report.audit`.

Of the rest of the report it reads the headlines alone, to compare with: no frame, view or statistic is shared.
"""
