"""Evidence on the original report itself: its tables, its files, and its checklist executed on this book."""

from collections.abc import Mapping
from functools import cached_property

import pandas as pd

from lib.report import reproducibility
from lib.report.frames import original
from lib.report.views.base import Base


class Views(Base):
    """The original report's tables, files and checklist, by name."""

    @cached_property
    def original_mrss(self) -> pd.DataFrame:
        """Its table on multi-resolution scanning, with ratios to its baseline."""
        return original.mrss()

    @cached_property
    def original_clip(self) -> pd.DataFrame:
        """Its table on pruned tokens, with ratios to its baseline."""
        return original.clip()

    @cached_property
    def checklist(self) -> pd.DataFrame:
        """Its reproducibility checklist, executed on this book: item, holds, evidence."""
        return reproducibility.checklist(runs=self._runs)

    @cached_property
    def named_files(self) -> Mapping[str, bool]:
        """Files of results that it names -> whether they are at hand."""
        return reproducibility.named_files()
