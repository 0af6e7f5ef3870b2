"""optuna-dashboard on this machine, with the artifacts of a root: pictures and curves beside the trials."""

from __future__ import annotations

import contextlib
import errno
import threading
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET6
from socketserver import ThreadingMixIn
from urllib.request import urlopen
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from optuna.storages import RDBStorage

from optdet.errors import OptdetError
from optdet.store.engine import close_storage
from optdet.tuning.dashboard_pages import dashboard_pages, viewing_storage

N_PORTS_TRIED = 20
_LAST_PORT = 65535
_PREPARE_S = 60.0


class _Server(ThreadingMixIn, WSGIServer):
    """A thread a request, none of which a Ctrl-C waits for."""

    daemon_threads = True


class _IPv6Server(_Server):
    address_family = AF_INET6


class _Handler(WSGIRequestHandler):
    """The open page asks every few seconds; a line for each would bury everything else."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Only errors are logged."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A server that holds its port already, and starts to answer with :meth:`serve`."""

    server: WSGIServer
    host: str
    storage: RDBStorage

    @property
    def port(self) -> int:
        return self.server.server_port

    @property
    def url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/"

    def url_of(self, study_id: int) -> str:
        """The page of a study."""
        return f"{self.url}dashboard/studies/{study_id}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it: the dashboard asks nobody for a password."""
        return is_loopback(self.host)

    def prepare(self, study_id: int) -> None:
        """Ask for a study's page in the background: of a large one its trials and importances take seconds
        the first time."""
        api = f"{self.url}api/studies/{study_id}"

        def ask() -> None:
            with contextlib.suppress(OSError):
                for path in (api, f"{api}/param_importances"):
                    urlopen(path, timeout=_PREPARE_S).close()

        threading.Thread(target=ask, daemon=True).start()

    def serve(self) -> None:
        """Answer until interrupted; a Ctrl-C is how it ends, not an error.

        Requests are answered in a thread: raised inside one, an interrupt would be taken for its failure.
        """
        answering = threading.Thread(target=self.server.serve_forever, daemon=True)
        answering.start()
        with contextlib.suppress(KeyboardInterrupt):
            answering.join()
        self.server.shutdown()
        self.close()

    def close(self) -> None:
        """Give the port and the database back; for one that does not answer."""
        self.server.server_close()
        close_storage(self.storage)


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def open_dashboard(url: str, artifacts_dir: Path, *, host: str, port: int) -> Dashboard:
    """Take ``port`` or the next free one (0: any), and put the dashboard of a database behind it.

    Raises OptdetError for a host that is not this machine's and where no port is free.
    """
    try:
        artifacts_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptdetError(
            f"the folder of artifacts cannot be made ({error.strerror})",
            where=str(artifacts_dir),
            fix="make it writable, or name another root with --root",
        ) from error
    server = _bind(host, port)
    try:
        storage = viewing_storage(url)
    except BaseException:
        server.server_close()
        raise
    server.set_app(dashboard_pages(storage, artifacts_dir))
    return Dashboard(server, host, storage)


def _bind(host: str, port: int) -> WSGIServer:
    kind: type[WSGIServer] = _IPv6Server if ":" in host else _Server
    last = min(port + N_PORTS_TRIED, _LAST_PORT + 1)
    for candidate in range(port, last):
        try:
            return kind((host, candidate), _Handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise _cannot_listen(f"{host}:{candidate}", error) from error
    raise OptdetError(
        f"the ports {port} to {last - 1} are all taken", where=host, fix="name another with --port"
    )


def _cannot_listen(where: str, error: OSError) -> OptdetError:
    fix = "use --host 127.0.0.1, and a --port of 1024 or more"
    return OptdetError(f"nothing can listen there ({error.strerror or error})", where=where, fix=fix)
