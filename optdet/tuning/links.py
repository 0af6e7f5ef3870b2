"""Links between studies in their notes: outer, inner and fold studies, warm starts, copies, ensembles.

The dashboard knows studies by ids, which SQLite gives again after a deletion. So the links of all notes are
written anew whenever a study was made or deleted, and when the dashboard is opened. What a study comes from
is known by its UUID: another one that got its name is not linked. A search of thresholds by `postprocess
tune` alone is known by the name of its study. An ensemble keeps no study: its prediction
files do, in the registry of submissions, and name its members.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from optuna.storages import RDBStorage

from optdet.store.dashboard_rows import NotedStudy, rewrite_notes
from optdet.store.study_trials import RETIRED
from optdet.store.submissions import WrittenFrom, list_written
from optdet.tuning import attributes as attr
from optdet.tuning.note_block import with_block

MAX_LINKS = 20
"""Lines of a kind in one note, the newest; that there are more is said."""
_ATTRIBUTES = (
    attr.UUID,
    attr.INNER_OF,
    attr.INNER_OF_UUID,
    attr.WARM_START,
    attr.SETTINGS_FROM,
    attr.COPIED_FROM,
)
_INNER_OF = re.compile(r"(?P<study>.+):(?P<trial>\d+|oof)")


def write_links(storage: RDBStorage) -> None:
    """Make every note's links true. What people wrote themselves stays, and a true note is not touched."""
    ensembles = [written for written in list_written(storage) if len(written.sources) > 1]

    def rewrite(studies: Sequence[NotedStudy]) -> Mapping[int, str]:
        blocks = _Links.of(studies, ensembles).blocks()
        notes = {
            study.study_id: (study.note, with_block(study.note, blocks[study.study_id]))
            for study in studies
            if study.note is not None and study.study_id in blocks
        }
        return {study_id: new for study_id, (old, new) in notes.items() if new != old}

    rewrite_notes(storage, _ATTRIBUTES, rewrite)


@dataclass(slots=True)
class _Links:
    """All studies of a database with what each is linked to: lines of Markdown by study id and kind."""

    studies: Sequence[NotedStudy]
    by_name: Mapping[str, NotedStudy]
    by_uuid: Mapping[str, NotedStudy]
    lines: dict[int, dict[str, list[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    @classmethod
    def of(cls, studies: Sequence[NotedStudy], ensembles: Iterable[WrittenFrom]) -> _Links:
        ours = [study for study in studies if _is_ours(study)]
        outer = [study for study in ours if attr.INNER_OF not in study.attributes]
        # A study that came from another database stands for the one that it is a copy of.
        copies = (study for study in outer if attr.COPIED_FROM in study.attributes)
        by_uuid = {str(study.attributes[attr.COPIED_FROM]): study for study in copies}
        by_uuid |= {str(study.attributes[attr.UUID]): study for study in outer}
        links = cls(ours, {study.name: study for study in outer}, by_uuid)
        for study in ours:
            links._add_inner(study)
            links._add_settings(study)
            links._add_warm_start(study)
            links._add_copy(study)
        for ensemble in ensembles:
            links._add_ensemble(ensemble)
        return links

    def blocks(self) -> dict[int, str]:
        """What stands at the head of each study's note: its name and its links."""
        return {study.study_id: self._block(study) for study in self.studies}

    def _block(self, study: NotedStudy) -> str:
        inner_of = study.attributes.get(attr.INNER_OF)
        title = study.name if inner_of is None else f"Thresholds of {inner_of}"
        written = []
        for lines in self.lines[study.study_id].values():
            written += [f"- {line}" for line in lines[-MAX_LINKS:]]
            if len(lines) > MAX_LINKS:
                written.append(f"- and {len(lines) - MAX_LINKS} more like these, which are older")
        return "\n".join([f"# {_plain(title)}", *(["", *written] if written else [])])

    def _add(self, study: NotedStudy, kind: str, line: str) -> None:
        self.lines[study.study_id][kind].append(line)

    def _add_inner(self, inner: NotedStudy) -> None:
        match = _INNER_OF.fullmatch(str(inner.attributes.get(attr.INNER_OF)))
        uuid = inner.attributes.get(attr.INNER_OF_UUID)
        outer = None
        if uuid is not None:
            outer = self.by_uuid.get(uuid)
        elif match is not None:
            outer = self.by_name.get(match["study"])
        if match is None or outer is None:
            return
        of_outer = "all folds" if match["trial"] == "oof" else _trial(outer, int(match["trial"]))
        self._add(inner, "outer", f"thresholds tuned on {of_outer} of {_study(outer)}")
        self._add(outer, "inner", f"thresholds tuned on {of_outer}: {_study(inner)}")

    def _add_settings(self, study: NotedStudy) -> None:
        stored = study.attributes.get(attr.SETTINGS_FROM)
        if stored is None:
            return
        source, number = self.by_uuid.get(stored["uuid"]), int(stored["trial"])
        if source is None or source is study:
            self._add(study, "settings", f"settings of {_plain(stored['study'])}:{number}, which is not here")
            return
        self._add(study, "settings", f"settings of {_trial(source, number)} of {_study(source)}")
        self._add(source, "settings for", f"settings of {_trial(source, number)}: {_study(study)}")

    def _add_warm_start(self, study: NotedStudy) -> None:
        stored = study.attributes.get(attr.WARM_START)
        if stored is None:
            return
        numbers = [int(entry["trial"]) for entry in stored["queued"]]
        source = self.by_uuid.get(stored["uuid"])
        if source is None or source is study:
            self._add(
                study, "begins", f"begins with the best of {_plain(stored['study'])}, which is not here"
            )
            return
        trials = ", ".join(_trial(source, number) for number in numbers[:MAX_LINKS])
        self._add(study, "begins", f"begins with {trials} of {_study(source)}")
        self._add(source, "begun", f"begun with its best trials: {_study(study)}")

    def _add_copy(self, copy: NotedStudy) -> None:
        original = self.by_uuid.get(copy.attributes.get(attr.COPIED_FROM, ""))
        if original is None or original is copy:
            return
        self._add(copy, "copy of", f"copy of {_study(original)}")
        self._add(original, "copies", f"copied to {_study(copy)}")

    def _add_ensemble(self, ensemble: WrittenFrom) -> None:
        """A line in the notes of all studies that its members are of."""
        members, owners = [], {}
        for source in ensemble.sources:
            study = self.by_uuid.get(source.study_uuid or "")
            if study is None:
                members.append(_code(source.source))
                continue
            owners[study.study_id] = study
            number = source.source.rpartition(":")[2]
            members.append(
                f"{_trial(study, int(number))} of {_study(study)}" if number.isdigit() else _study(study)
            )
        more = f" and {len(members) - MAX_LINKS} more" if len(members) > MAX_LINKS else ""
        line = f"ensemble {_code(ensemble.name)} of {', '.join(members[:MAX_LINKS])}{more}"
        for study in owners.values():
            self._add(study, "ensembles", line)


def _is_ours(study: NotedStudy) -> bool:
    uuid = study.attributes.get(attr.UUID)
    return (uuid is not None or attr.INNER_OF in study.attributes) and not str(uuid).startswith(RETIRED)


def _study(study: NotedStudy) -> str:
    return f"[{_plain(study.name)}](/dashboard/studies/{study.study_id})"


def _trial(study: NotedStudy, number: int) -> str:
    return f"[trial {number}](/dashboard/studies/{study.study_id}/trials?numbers={number})"


def _plain(name: str) -> str:
    """As it is written, whatever Markdown would make of it."""
    return re.sub(r"([\\`*_\[\]<>#~|&])", r"\\\1", " ".join(name.split()))


def _code(name: str) -> str:
    return f"`{' '.join(name.split()).replace('`', chr(39))}`"
