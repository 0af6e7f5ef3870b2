"""``optdet cache``: what is kept to save time, and how to be rid of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optdet.cli import options

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_(storage: options.Storage = None, root: options.Root = None, json: options.Json = False) -> None:
    """List kept probability maps and letterboxed images: whose, how many, their size, when last used.

    Examples:

      optdet cache list

      optdet cache list --root studies --json
    """
    from optdet.cli.tables import cache_table, print_json
    from optdet.inference.cache_listing import list_cache

    cache_dir = _cache_dir(storage, root)
    entries = list_cache(cache_dir)
    if json:
        print_json([entry.as_json() for entry in entries])
        return
    if not entries:
        typer.echo(f"nothing is kept in {cache_dir}")
        return
    cache_table(entries)


@app.command()
def clear(
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="KEY", help="The key, or its beginning, as `cache list` shows it.", show_default=False
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Remove everything that is kept.")] = False,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Remove kept maps or images; they are made again when they are wanted.

    Examples:

      optdet cache clear 4f2a91

      optdet cache clear --all
    """
    from optdet.cli.tables import file_size
    from optdet.inference.cache_listing import clear_cache

    if (key is None) == (not every):
        raise typer.BadParameter("give either a KEY or --all")
    removed = clear_cache(_cache_dir(storage, root), key)
    n_bytes = sum(entry.n_bytes for entry in removed)
    typer.echo(f"removed {len(removed)} of what was kept, {file_size(n_bytes)}")


def _cache_dir(storage: str | None, root: str | None) -> Path:
    from optdet.store.places import Places
    from optdet.store.url import root_of, storage_url

    return Places(root_of(storage_url(storage), root)).cache_dir
