"""Who holds a slot: a process, told apart from every other one that ever had its number.

``started`` is in seconds since the machine booted, as the kernel counts it. The wall-clock start time that
psutil offers would move when the clock is set, and a living worker would look dead. Where there is no /proc,
it is psutil's all the same.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

_PROC = Path("/proc")
_FIRST_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO, the same on every Linux


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: ``host`` names the machine, and the container where process ids mean something else."""

    host: str
    boot_id: str
    pid: int
    started: float

    @classmethod
    def current(cls) -> Owner:
        pid = os.getpid()
        started = process_started(pid)
        if started is None:
            raise RuntimeError(f"process {pid} cannot see itself")
        return cls(host=_host(), boot_id=_boot_id(), pid=pid, started=started)

    def is_alive(self, *, here: Owner, beat_age_s: float, expiry_s: float) -> bool:
        """Looked up on this host, and at once; judged by its last beat on another."""
        if self.host != here.host:
            return beat_age_s <= expiry_s
        return self.boot_id == here.boot_id and process_started(self.pid) == self.started


def process_started(pid: int) -> float | None:
    """When a process started, or None where it does not run: a zombie only waits to be collected."""
    if not (_PROC / "self" / "stat").exists():
        return _started_by_psutil(pid)
    try:
        line = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in parentheses, with any characters in it.
    fields = line[line.rindex(")") + 1 :].split()
    state, ticks = fields[0], int(fields[19])
    return None if state in "ZX" else ticks / os.sysconf("SC_CLK_TCK")


def _started_by_psutil(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None


def _host() -> str:
    """The host's name; with the namespace in a container, for two may share the name and the boot id."""
    try:
        namespace = os.readlink(_PROC / "self" / "ns" / "pid")
    except OSError:
        return socket.gethostname()
    inside = "" if namespace == _FIRST_PID_NAMESPACE else "/" + namespace.removeprefix("pid:").strip("[]")
    return socket.gethostname() + inside


def _boot_id() -> str:
    try:
        return (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    except OSError:
        # Derived from the wall clock, to the second: good enough where the kernel has no name for it.
        return str(round(psutil.boot_time()))
