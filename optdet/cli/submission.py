"""``optdet submission``: files for a leaderboard, what it said of them, and which to try next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optdet.cli import options
from optdet.errors import OptdetError

app = typer.Typer(no_args_is_help=True)
_NAMED = "A file, the beginning of its SHA-256, or the name of a file that the registry knows."


@app.command()
def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="FILE.csv (filename,polygons) or FILE.json (UFO).")
    ],
    images: Annotated[
        Path | None,
        typer.Option("--images", help="The images that it has to hold, and that polygons lie in."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="A label file (also without words) that names them.")
    ] = None,
    simplify: Annotated[
        int | None,
        typer.Option("--simplify", metavar="N", help="Polygons with at most N points, 4 or more."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where to write the simplified file.")] = None,
    json: options.Json = False,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Say what a file holds and what is wrong with it, by line and image; exit 1 for any fault.

    Examples:

      optdet submission check test.csv --images test

      optdet submission check test.csv --simplify 12 --out smaller.csv
    """
    from optdet.cli.progress import image_bar
    from optdet.cli.submission_tables import check_lines
    from optdet.cli.tables import print_json
    from optdet.data.prediction_simplify import require_points, simplify_predictions
    from optdet.data.submission_check import check_file
    from optdet.tuning.submission_simplify import known_submission, write_simplified

    require_points(simplify)
    if out is not None and simplify is None:
        raise OptdetError("--out is for a simplified file", where="--out", fix="add --simplify N")
    checked = check_file(file, images=images, labels=labels)
    simplified = None
    if simplify is not None and not checked.problems:
        with image_bar("simplifying") as on_image:
            simplified = simplify_predictions(checked.found.polygons, simplify, on_image=on_image)
    if json:
        shown = None if simplified is None else simplified.as_json()
        print_json({**checked.as_json(), "simplified": shown})
    else:
        for line in check_lines(checked, known_submission(checked.sha256, storage, root), simplified):
            typer.echo(line)
    checked.require_sound()
    if simplified is not None and out is not None:
        written, note = write_simplified(checked, simplified, out, storage=storage, root=root)
        typer.echo(f"wrote {out}, {written.summary.megabytes:.2f} MB", err=True)
        if note is not None:
            typer.echo(f"note: {note}", err=True)


@app.command()
def record(
    file: Annotated[str, typer.Argument(metavar="FILE", help=_NAMED)],
    hmean: Annotated[float, typer.Option("--hmean", help="What the leaderboard said, 0..1.")],
    precision: Annotated[float | None, typer.Option("--precision", help="The same, if it is shown.")] = None,
    recall: Annotated[float | None, typer.Option("--recall", help="The same, if it is shown.")] = None,
    board: Annotated[str, typer.Option("--board", help="public or private.")] = "public",
    note: Annotated[str | None, typer.Option("--note", help="A remark to keep with it.")] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Register a file that optdet did not write, or not as it is.")
    ] = False,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Keep what a leaderboard said of a file, and the file's bytes, so that it can be issued again.

    H-mean is kept as it is given: a mean over images need not equal 2PR/(P+R).

    Examples:

      optdet submission record test.csv --hmean 0.9600 --precision 0.9627 --recall 0.9598

      optdet submission record old.csv --hmean 0.9628 --board private --adopt
    """
    from optdet.cli.submission_tables import record_lines
    from optdet.store.submissions import BoardScore
    from optdet.tuning.study import open_database
    from optdet.tuning.submissions import find_or_adopt, open_registry, record_score, require_score

    score = BoardScore(hmean, precision, recall, note)
    require_score(score, board)
    database = open_database(storage, root, create=True) if adopt else open_registry(storage, root)
    recorded = record_score(database, find_or_adopt(database, file, adopt=adopt), score, board)
    for line in record_lines(recorded, board):
        typer.echo(line)


@app.command("list")
def list_(json: options.Json = False, storage: options.Storage = None, root: options.Root = None) -> None:
    """Every file that was written: its local score beside the leaderboard's, and whether both order alike.

    Examples:

      optdet submission list

      optdet submission list --json
    """
    from optdet.cli.submission_tables import submissions_table
    from optdet.cli.tables import print_json
    from optdet.tuning.submission_list import submission_rows
    from optdet.tuning.submissions import open_registry

    found = submission_rows(open_registry(storage, root))
    if json:
        print_json(found.as_json())
    else:
        submissions_table(found)


@app.command("next")
def next_(
    left: Annotated[int, typer.Option("--left", min=1, help="How many tries are left.")] = 3,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            help="The leaderboard's images. Default: those of the file recorded last.",
            show_default=False,
        ),
    ] = None,
    same: Annotated[
        float, typer.Option("--same", min=0, max=1, help="Agreement from which two files may be one try.")
    ] = 0.98,
    json: options.Json = False,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Which files to try next: the best by their local scores, one of each kind, without false order.

    Examples:

      optdet submission next --left 3

      optdet submission next --left 2 --images test --json
    """
    from optdet.cli.progress import image_bar
    from optdet.cli.submission_tables import next_lines
    from optdet.cli.tables import print_json
    from optdet.tuning.submission_next import next_tries
    from optdet.tuning.submissions import open_registry

    with image_bar("comparing files") as on_file:
        found = next_tries(open_registry(storage, root), left, images=images, same=same, on_file=on_file)
    if json:
        print_json(found.as_json())
    else:
        for line in next_lines(found):
            typer.echo(line)


@app.command()
def restore(
    name: Annotated[str, typer.Argument(metavar="NAME", help=_NAMED)],
    out: Annotated[Path, typer.Option("--out", help="Where to write it.")],
    force: Annotated[bool, typer.Option("--force", help="Replace another file.")] = False,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Issue a recorded file again, byte for byte, whatever has become of it since.

    Example:

      optdet submission restore test.csv --out again.csv
    """
    from optdet.tuning.submissions import find_submission, open_registry, reissue

    database = open_registry(storage, root)
    found = find_submission(database, name)
    wrote = reissue(database, found, out, force=force)
    typer.echo(f"{'wrote' if wrote else 'it is there:'} {out}, SHA-256 {found.sha256[:12]}")
