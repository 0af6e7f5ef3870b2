"""``optdet report``: a study as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optdet.cli import completion, options


def report(
    name: options.StudyName = None,
    out: Annotated[Path, typer.Option("--out", help="The HTML file; replaced if it exists.")] = Path(
        "report.html"
    ),
    images: Annotated[
        int, typer.Option("--images", min=0, max=500, help="Images that are shown; 0 for none.")
    ] = 24,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="SOURCE|FILE",
            help="What images have improved or been harmed against: a source, or predictions (.csv, .json). "
            "Default: the second best trial; without one the thresholds that tuning began with.",
            show_default=False,
            autocompletion=completion.sources,
        ),
    ] = None,
    playbook: Annotated[
        Path | None,
        typer.Option(
            "--playbook",
            help="The playbook whose checklist is shown. Default: the one beside the database, if any.",
            show_default=False,
        ),
    ] = None,
    attach: Annotated[
        bool, typer.Option("--attach/--no-attach", help="Keep it with the study, for the dashboard.")
    ] = True,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1.")] = "auto",
    storage: options.Storage = None,
    root: options.Root = None,
    data_root: options.DataRoot = None,
) -> None:
    """Write what came of a study as one HTML file, to open in any browser: it needs no network.

    The best score and how to get it again, the search, the landscape of thresholds, what goes wrong and what
    it costs, images with words and detections, folds, ensembles, submissions, the playbook.

    Examples:

      optdet report

      optdet report mine --out mine.html --images 60

      optdet report mine --against mine:0
    """
    from optdet.cli.opening import open_study
    from optdet.cli.progress import image_bar
    from optdet.cli.tables import file_size
    from optdet.errors import OptdetError
    from optdet.report.page import write_page
    from optdet.report.study_report import study_report
    from optdet.tuning.postprocess_places import require_writable
    from optdet.tuning.source import SourceOptions

    if name is not None and ":" in name:
        raise OptdetError(
            "a report is of a whole study, not of one trial",
            where=name,
            fix=f"optdet report {name.partition(':')[0]}; to set the best trial beside this one, "
            f"add --against {name}",
        )
    if out.is_dir():
        raise OptdetError(
            "is a folder", where=f"--out {out}", fix=f"name a file, such as {out / 'report.html'}"
        )
    require_writable(out.parent, "--out")
    study = open_study(name, storage, root, None if data_root is None else str(data_root))
    asked = SourceOptions(device, storage, root, say=lambda message: typer.echo(f"note: {message}", err=True))
    made = study_report(study, asked, n_images=images, against=against, playbook=playbook, bar=image_bar)
    n_bytes = write_page(made, out)
    for note in made.notes:
        typer.echo(f"note: {note}", err=True)
    if attach:
        from optdet.tuning.attachments import attach_anew

        attach_anew(study.storage, study.study, study.places, out, name="report.html")
    typer.echo(f"wrote {out}: {file_size(n_bytes)}, {len(made.data['images'])} images")
