"""The report as one HTML file: no network, now or ever; light and dark, for a phone, a screen and paper.

plotly.js and the data are in it compressed (gzip, base64) and are unpacked by the page when it is opened; its
content security policy forbids it to fetch or send anything. Browsers from 2023 on can read it.
"""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from optdet import __version__
from optdet.drawing.html_file import packed_bytes, write_html
from optdet.drawing.sweep_html import sweep_charts
from optdet.report.study_report import Report

_SCRIPTS = ("theme.js", "charts.js", "table.js", "gallery.js", "parallel.js", "report.js")
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; form-action 'none'"
)

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<div class="top"><h1>{heading}</h1><button id="theme" type="button">dark</button></div>
{description}
{answer}
<nav>{links}</nav>
<main>
{sections}
</main>
<footer>optdet {version}, {made}</footer>
<noscript><p>Charts and images need JavaScript; nothing is fetched.</p></noscript>
<script type="application/octet-stream" id="plotly">{plotly}</script>
<script type="application/octet-stream" id="data">{data}</script>
<script type="application/octet-stream" id="image-data">{images}</script>
<script>
{script}</script>
</body>
</html>
"""


def write_page(report: Report, path: Path) -> int:
    """Write the page, making the folders above it, and give its size in bytes.

    Raises:
        OptdetError: The file cannot be written; what stood there before still does.
    """
    return write_html(render(report), path, what="the report")


def render(report: Report) -> str:
    """The whole page."""
    title = escape(f"{report.title} · optdet")
    return _PAGE.format(
        policy=_POLICY,
        title=title,
        style=_asset("report.css"),
        heading=escape(report.title),
        description=f'<p class="description">{escape(report.description)}</p>' if report.description else "",
        answer=report.answer.html,
        links=_links(report),
        sections="\n".join(part.html for part in report.sections),
        version=escape(__version__),
        made=escape(report.made),
        plotly=packed_bytes(get_plotlyjs().encode("utf-8")),
        # Apart, since they are large: charts are drawn before images are unpacked.
        data=_packed({name: value for name, value in report.data.items() if name != "images"}),
        images=_packed(report.data["images"]),
        script=sweep_charts() + "".join(_asset(name) for name in _SCRIPTS),
    )


def _links(report: Report) -> str:
    """A link to every part that has a name and a heading."""
    return "".join(
        f'<a href="#{part.name}">{escape(part.title)}</a>' for part in report.sections if part.name
    )


def _asset(name: str) -> str:
    return (files("optdet.report") / name).read_text(encoding="utf-8")


def _packed(value: Any) -> str:
    return packed_bytes(json.dumps(value, allow_nan=False, separators=(",", ":")).encode("utf-8"))
