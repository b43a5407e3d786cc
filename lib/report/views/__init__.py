"""Recorded runs as the frames that numbers, figures, tables and judges read: a file per subject."""
