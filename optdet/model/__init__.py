"""The detector: a timm backbone, the DB paper's neck and head, its losses, and the checkpoint file."""
