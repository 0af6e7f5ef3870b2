"""The training loop, plain PyTorch: optimizer, schedule, checkpoints, fit. Knows no Optuna."""
