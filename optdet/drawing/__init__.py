"""Pictures a person reads at a glance: overlays of one image, curves of a trial, views of a study.

Pictures are uint8 arrays of shape (H, W, 3), RGB. Nothing here knows Optuna or torch, and nothing touches
pyplot's global state, so that several threads may draw at once.
"""
