"""Records made into tables, figures, verdicts and prose. Nothing here sees a model."""
