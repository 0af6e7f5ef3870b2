"""``optdet dashboard``: optuna-dashboard with the pictures of the trials."""

from __future__ import annotations

from typing import Annotated

import typer

from optdet.cli import options


def dashboard(
    storage: options.Storage = None,
    root: options.Root = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The next free one if it is taken; 0 takes any.")
    ] = 8080,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on. Only loopback is private to this machine.")
    ] = "127.0.0.1",
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser, too.")] = False,
) -> None:
    """Browse studies in optuna-dashboard, with each trial's pictures and curves. Ctrl-C stops it.

    The newest study's own address is printed beside that of all.

    Examples:

      optdet dashboard

      optdet dashboard --open

      optdet dashboard --storage studies/optdet.db --port 9000
    """
    from optdet.store.engine import close_storage
    from optdet.tuning.dashboard import open_dashboard
    from optdet.tuning.links import write_links
    from optdet.tuning.study import open_database, outer_studies

    database = open_database(storage, root)
    studies = outer_studies(database)
    write_links(database.storage)  # somebody else's program may have deleted a study
    close_storage(database.storage)
    opened = open_dashboard(database.url, database.places.artifacts_dir, host=host, port=port)
    if port not in (0, opened.port):
        typer.echo(f"port {port} is taken: using {opened.port}", err=True)
    if not opened.is_local:
        typer.echo("note: whoever reaches this address can read, change and delete studies", err=True)
    shown = opened.url
    typer.echo(f"optuna-dashboard: {shown}  (Ctrl-C stops it)")
    if studies:
        shown = opened.url_of(studies[-1].study_id)
        typer.echo(f"{studies[-1].name}: {shown}")
        opened.prepare(studies[-1].study_id)
    if open_:
        typer.launch(shown)
    opened.serve()
