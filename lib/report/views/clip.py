"""What is read of the records on clip."""

from lib.report.views.base import Base


class Views(Base):
    """Frames of this subject's records, by name."""
