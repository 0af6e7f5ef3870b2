"""Studies: Optuna around the training loop, and threshold tuning inside it. Trial and Study stop here."""
