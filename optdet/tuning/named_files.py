"""What the studies of a database, and of others in the same root, name on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from optuna.storages import RDBStorage

from optdet.errors import OptdetError
from optdet.store.places import Places
from optdet.store.references import (
    ReferenceKeys,
    References,
    n_studies_of_artifact,
    references_of,
    references_of_others,
)
from optdet.tuning import attributes as attr

_KEYS: Final = ReferenceKeys(maps=attr.MAP_KEY, definition=attr.DEFINITION)


def own_references(storage: RDBStorage) -> References:
    """Those of an open database."""
    return references_of(storage, _KEYS)


def other_references(root: Path, storage: RDBStorage) -> dict[str, References]:
    """Those of each other database that uses a root; OptdetError for one that cannot be read."""
    return references_of_others(root, storage, _KEYS)


def refuse_former_name(storage: RDBStorage, places: Places, name: str) -> None:
    """OptdetError where a study that was renamed has its files under a name that no study has now."""
    if name in own_references(storage).trials:
        raise OptdetError(
            f"a study that was made as {name!r} and renamed has its files there",
            where=str(places.runs_of(name)),
            fix=f"give this one another name, as --name {name}-2",
        )


def is_shared(storage: RDBStorage, root: Path, artifact_id: str) -> bool:
    """Whether more than one study shows a file: a copy in the same root, or one in another database there."""
    if any(artifact_id in others.artifacts for others in other_references(root, storage).values()):
        return True
    return n_studies_of_artifact(storage, artifact_id) > 1
