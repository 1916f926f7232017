"""A sweep as one HTML file: tables that sort and filter, figures, every run; it loads nothing from anywhere."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from experiments.config.leaves import flatten
from experiments.reports.lines import Lines
from experiments.runs.read import Run
from experiments.tables.grid import Report
from experiments.tables.html_form import SCRIPT, STYLE, tables

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Picture:
    """A figure as the bytes of an SVG file, and what it shows."""

    svg: bytes
    says: str


@dataclass(frozen=True)
class Page:
    """What a page is made of."""

    title: str
    report: Report
    pictures: tuple[Picture, ...]
    lines: Lines
    runs: tuple[Run, ...]


def html(page: Page) -> str:
    """The file's text."""
    done = sum(run.status == "done" for run in page.runs)
    sections = {
        "Results": tables(page.report),
        "Figures": _figures(page.pictures),
        "Settings": _lines(),
        "Runs": "\n".join(map(_run, page.runs)),
    }
    parts = {
        "title": escape(page.title),
        "summary": f"{done} of {len(page.runs)} runs are done.",
        "links": "".join(f'<a href="#{name.lower()}">{name}</a>' for name in sections),
        "sections": "\n".join(_section(name, body) for name, body in sections.items()),
        "data": json.dumps(page.lines.record(), allow_nan=False).replace("<", "\\u003c"),
        "style": STYLE.read_text(encoding="utf-8") + (HERE / "page.css").read_text(encoding="utf-8"),
        "script": SCRIPT.read_text(encoding="utf-8") + (HERE / "page.js").read_text(encoding="utf-8"),
    }
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(parts)


def _section(name: str, body: str) -> str:
    return f'<section id="{name.lower()}"><h2>{name}</h2>\n{body}\n</section>'


def _figures(pictures: Sequence[Picture]) -> str:
    """Each a picture of its own: two SVGs in one page would share the names of their parts."""
    drawn = [
        f'<figure><img alt="{escape(one.says)}" src="data:image/svg+xml;base64,{b64encode(one.svg).decode()}">'
        f"<figcaption>{escape(one.says)}</figcaption></figure>"
        for one in pictures
    ]
    return '<div class="figures">' + "\n".join(drawn) + "</div>"


def _lines() -> str:
    note = "One line a run, from what it was set to, to what came of it and what it cost. Point at a line for its run."
    return f'<p class="note">{note}</p><div id="lines" class="scroll"></div>'


def _run(run: Run) -> str:
    head = (
        f'<summary>{escape(run.id)} <span class="state">{run.status} {escape(" ".join(run.overrides))}</span></summary>'
    )
    blocks = [f"<pre>{escape(run.reason)}</pre>"] if run.reason else []
    for title, values in (("Metrics", run.metrics), ("Cost", run.cost), ("Provenance", run.provenance)):
        blocks.append(_values(title, values))
    blocks.append(_values("Configuration", flatten(run.config)) if run.config else "")
    return f'<details id="run-{escape(run.id)}">{head}{"".join(blocks)}</details>'


def _values(title: str, values: Mapping[str, Any]) -> str:
    if not values:
        return ""
    pairs = "".join(f"<dt>{escape(str(key))}</dt><dd>{escape(_said(value))}</dd>" for key, value in values.items())
    return f"<h3>{title}</h3><dl>{pairs}</dl>"


def _said(value: Any) -> str:
    return (
        f"{value:.6g}"
        if isinstance(value, float)
        else value
        if isinstance(value, str)
        else json.dumps(value, default=str)
    )
