"""What each chapter shows and says: a file per subject, `numbers(evidence)` holds all that its text says."""
