"""The configs and studies that come with optdet: packages in a wheel, folders beside it in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).parent


def shipped_folder(kind: Literal["configs", "studies"]) -> Path:
    """The folder of the shipped YAML files."""
    installed = _PACKAGE / kind
    return installed if installed.is_dir() else _PACKAGE.parent / kind


def quickstart_file() -> Path:
    """The study that `optdet study create` takes without an argument."""
    return shipped_folder("studies") / "quickstart.yaml"
