"""optdet: an Optuna-driven experiment manager for DB-style text detectors."""

__version__ = "0.1.0"
