"""The line that a user copies to go on: every option that was given, quoted for the shell."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Given:
    """Options of a command that a later `optdet study run` of the same study needs again."""

    storage: str | None = None
    root: str | None = None
    data_root: str | None = None
    device: str | None = None
    timeout: str | None = None
    trials: int | None = None
    workers: str | None = None
    accept_changed_data: bool = False
    log_to: str | None = None
    """The folder of a run in the background, for that run and its workers."""

    def run_again(self, name: str, *, trials: int | None = None) -> str:
        """The command; ``trials`` takes the place of the number given. A password is not shown."""
        from optdet.store.url import shown_url

        storage = shown_url(self.storage) if self.storage else None
        # What changed once was accepted once: the next change is to be said again.
        shown = replace(
            self, storage=storage, trials=trials or self.trials, accept_changed_data=False, log_to=None
        )
        background = ["--background"] if self.log_to else []
        return shlex.join(["optdet", *shown.run_words(name), *self.worker_words(), *background])

    def words_of(self, command: str, name: str, *more: str) -> str:
        """Another ``optdet study`` command on the same study, as one copies it."""
        return command_line(["study", command, name], self.storage, self.root, *more)

    def worker_words(self) -> list[str]:
        """What ``run_words`` lack for all workers of the study."""
        return ["--workers", self.workers] if self.workers else []

    def run_words(self, name: str) -> list[str]:
        """What follows ``optdet`` for one worker of the study, as it was given."""
        options = {
            "--storage": self.storage,
            "--root": self.root,
            "--data-root": self.data_root,
            "--device": self.device,
            "--timeout": self.timeout,
            "--trials": self.trials,
            "--log-to": self.log_to,
        }
        words = [word for key, value in options.items() if value for word in (key, str(value))]
        flags = ["--accept-changed-data"] if self.accept_changed_data else []
        return ["study", "run", name, *words, *flags]


def command_line(words: list[str], storage: str | None, root: str | None, *more: str) -> str:
    """An ``optdet`` command on the same database, as one copies it. A password is not shown."""
    from optdet.store.url import shown_url

    places = {"--storage": storage and shown_url(storage), "--root": root}
    given = [word for key, value in places.items() if value for word in (key, value)]
    return shlex.join(["optdet", *words, *given, *more])
