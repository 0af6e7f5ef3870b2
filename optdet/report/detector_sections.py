"""The parts of the page that show the detector on its images: thresholds, errors, pictures."""

from __future__ import annotations

from collections.abc import Sequence

from optdet.evaluation.error_buckets import Bucket
from optdet.evaluation.error_report import ErrorReport
from optdet.phrases import counted
from optdet.report.markup import Markup, Section, chart, element, note, score, section, signed, table


def thresholds_section(titles: Sequence[str], why: str | None) -> Section:
    if why is not None:
        return section("thresholds", "Thresholds", note(why))
    kinds = element(
        "label",
        "outlines ",
        element("select", *(element("option", each) for each in titles), id="sweep-kind"),
    )
    ratios = element("label", " unclip_ratio ", element("select", id="sweep-ratio"))
    return section(
        "thresholds",
        "Thresholds",
        element("p", kinds, ratios, class_="controls"),
        element(
            "div",
            chart("heat", "H-mean over thresh and box_thresh"),
            chart("front", "Precision and recall", note="Every point is a setting; the line is their front."),
            class_="row",
        ),
        note(
            "In sample: thresholds that are chosen here are scored on the images that they are chosen on. "
            "Swept coarsely; `optdet postprocess tune` looks closer."
        ),
    )


def errors_section(errors: ErrorReport) -> Section:
    rows = [
        (
            kind.text,
            signed(kind.cost),
            f"{kind.interval[0]:+.4f} to {kind.interval[1]:+.4f}",
            str(kind.number),
            str(kind.n_images),
            str(kind.n_characters),
        )
        for kind in errors.kinds
    ]
    kinds = table(("error", "cost in H-mean", "95 % interval", "number", "images", "characters"), rows)
    buckets = [
        element("div", element("h3", each.title), _buckets(each.buckets), class_="half")
        for each in errors.properties
        if any(not bucket.is_empty for bucket in each.buckets)
    ]
    return section(
        "errors",
        "What goes wrong",
        element(
            "p",
            "What the H-mean would gain if the errors of one kind alone were mended. Gains do not add up: "
            f"their sum is {errors.sum_of_costs:.4f}, and mending all errors together would gain "
            f"{errors.repaired - errors.macro.hmean:.4f}.",
        ),
        chart("costs", "Cost of each kind of error", wide=True),
        kinds,
        chart(
            "buckets",
            "Recall by size, shape and place",
            wide=True,
            note="Characters in matched detections, with 95 % intervals; the line is that of all words.",
        ),
        element(
            "details",
            element("summary", "The same in numbers, with splits, merges and false detections"),
            element("div", *buckets, class_="row"),
        ),
    )


def _buckets(buckets: Sequence[Bucket]) -> Markup:
    rows = [
        (
            bucket.label,
            str(bucket.n_words),
            score(bucket.recall.value, 3),
            str(bucket.n_missed),
            str(bucket.n_split),
            str(bucket.n_merged),
            "" if bucket.false is None else score(bucket.false.value, 3),
        )
        for bucket in buckets
        if not bucket.is_empty
    ]
    return table(("", "words", "recall", "missed", "split", "merged", "false"), rows)


def images_section(n_shown: int, n_images: int, before: str | None, now: str, why: str | None) -> Section:
    if why is not None:
        return section("images", "Images", note(why))
    compared = "" if before is None else f" Improved and harmed: against {before}."
    return section(
        "images",
        "Images",
        element("p", f"{n_shown} of {counted(n_images, 'image')}, at {now}.{compared}"),
        element("div", class_="controls sticky", id="gallery-controls"),
        element("div", id="gallery"),
    )
