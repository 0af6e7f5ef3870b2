"""Where a study lives: Optuna's storage, our tables beside it, the leases of workers, places on disk."""
