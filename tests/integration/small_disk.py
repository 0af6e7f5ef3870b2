"""A real disk of a few megabytes: a tmpfs in a mount namespace of its own, which ends with its processes.

Commands run inside of it; from outside it is seen through /proc.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SIZE = "12m"


class SmallDisk:
    """``folder`` is where the commands see it, ``seen`` where this process does."""

    def __init__(self, commands_of, folder):
        within = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
        mount = f'mount -t tmpfs -o size={SIZE} tmpfs "$0" && exec "$@"'
        self.folder = folder / "disk"
        self.folder.mkdir()
        _require_namespaces(self.folder)
        self.commands = commands_of(folder, within=(*within, mount, str(self.folder)))
        self.commands.run("--version", cwd=self.folder)  # an answer: it is mounted
        self.seen = f"/proc/{self.commands.pid}/root{self.folder}"

    def run(self, *argv, **more):
        return self.commands.run(*argv, cwd=self.folder, **more)

    def clear(self):
        for entry in os.scandir(self.seen):
            shutil.rmtree(entry) if entry.is_dir() else os.unlink(entry)

    def fill(self, *, leaving_kb):
        """A file that takes all room but so much."""
        self.make_room()
        disk = os.statvfs(self.seen)
        n_bytes = disk.f_bavail * disk.f_frsize - leaving_kb * 1024
        with open(f"{self.seen}/filler", "wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, n_bytes)

    def make_room(self):
        Path(f"{self.seen}/filler").unlink(missing_ok=True)

    def remount(self, how):
        self.inside("mount", "-o", f"remount,{how}", str(self.folder))

    def inside(self, *words):
        """A command of another program, as root in there."""
        namespace = ("nsenter", "-t", str(self.commands.pid), "-U", "-m", "--preserve-credentials")
        within = [*namespace, "sh", "-c", 'cd "$0" && exec "$@"', str(self.folder), *map(str, words)]
        done = subprocess.run(within, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done

    def write(self, name, text):
        Path(f"{self.seen}/{name}").write_text(text)

    def read(self, name):
        return Path(f"{self.seen}/{name}").read_text()

    def copy_to(self, folder):
        shutil.copytree(self.seen, folder)

    def names(self):
        """Every file and folder below."""
        return sorted(
            os.path.relpath(os.path.join(place, name), self.seen)
            for place, folders, files in os.walk(self.seen)
            for name in (*folders, *files)
        )


def _require_namespaces(folder):
    tried = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        pytest.skip(f"no disk of its own here: {tried.stderr.strip()}")
