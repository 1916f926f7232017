"""The same content as a report of Weights & Biases, which reads the runs that were sent there.

Runs are those of the table's rows, by their ids; rows are `row` of their configuration, everything but the seed, so
that means and standard deviations are over seeds.
"""

from collections.abc import Sequence
from typing import Any

from experiments.runs.read import Run
from experiments.tables.grid import Report
from experiments.tables.report import Content
from experiments.tracking.wandb_run import ROW, STEP

COSTS = ("trainable_share", "peak_memory_bytes", "seconds_per_epoch")
WIDE = {"w": 24, "h": 10}


def save_report(project: str, content: Content, report: Report, runs: Sequence[Run], monitor: str) -> str:
    """Make it in "ENTITY/PROJECT" and return its address. Raises `ValueError` where the project is written otherwise,
    or W&B does not make it."""
    entity, sign, name = project.partition("/")
    if not (entity and sign and name) or "/" in name:
        raise ValueError(f"--wandb takes ENTITY/PROJECT, such as my-team/interestlab; {project!r} is none")
    try:
        made = workspace(entity, name, content, report, runs, monitor)
        made.save()
        return str(made.url)
    except Exception as fault:  # its library raises anything, plain Exception too
        reason = str(fault).strip() or type(fault).__name__
        raise ValueError(f"W&B made no report in {project}: {reason}; without it, leave out --wandb") from fault


def workspace(entity: str, project: str, content: Content, report: Report, runs: Sequence[Run], monitor: str) -> Any:
    """The report, unsaved: comparison, curves, accuracy against cost, settings against accuracy."""
    import wandb_workspaces.reports.v2 as wr  # asks W&B's server who is logged in as soon as it is used

    chosen = [run for run in runs if run.status == "done"]
    ids = ", ".join(f"'{run.id}'" for run in chosen)
    shared: dict[str, Any] = {"entity": entity, "project": project, "filters": f"ID in [{ids}]"}
    every = wr.Runset(name="runs", **shared)
    grouped = wr.Runset(name="rows", groupby=[ROW], **shared)
    return wr.Report(
        entity=entity,
        project=project,
        title=content.title,
        description=f"{len(chosen)} of {len(runs)} runs are done.",
        blocks=[
            wr.P(" ".join(report.caption)),
            wr.H2("Rows: mean and standard deviation over seeds"),
            wr.PanelGrid(runsets=[grouped], panels=[*_bars(wr, content.metrics), _curves(wr, monitor)]),
            wr.H2("Accuracy against cost"),
            wr.PanelGrid(runsets=[every], panels=[_scatter(wr, cost, content.metrics[-1]) for cost in COSTS]),
            wr.H2("Settings against accuracy"),
            wr.PanelGrid(runsets=[every], panels=[_lines(wr, content, chosen), wr.RunComparer(diff_only="split")]),
        ],
    )


def setting(key: str, runs: Sequence[Run]) -> str:
    """Where the configuration in W&B has what the table calls `key`: a choice by its word, anything else by its
    path."""
    chosen = any(key in (run.provenance.get("choices") or {}) for run in runs)
    return f"provenance.choices.{key}" if chosen else key


def _bars(wr: Any, metrics: Sequence[str]) -> list[Any]:
    return [
        wr.BarPlot(
            title=metric,
            metrics=[wr.SummaryMetric(metric)],
            groupby=wr.Config(ROW),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
            orientation="h",
        )
        for metric in metrics
    ]


def _curves(wr: Any, monitor: str) -> Any:
    return wr.LinePlot(
        title=f"{monitor} while training",
        x=STEP,
        y=[monitor],
        groupby=wr.Config(ROW),
        groupby_aggfunc="mean",
        groupby_rangefunc="stddev",
    )


def _scatter(wr: Any, cost: str, metric: str) -> Any:
    return wr.ScatterPlot(
        title=f"{metric} against {cost}", x=wr.SummaryMetric(f"cost/{cost}"), y=wr.SummaryMetric(metric), log_x=True
    )


def _lines(wr: Any, content: Content, runs: Sequence[Run]) -> Any:
    names = [wr.Config(setting(key, runs)) for key in content.keys]
    names += [wr.SummaryMetric(name) for name in (*content.metrics, *(f"cost/{cost}" for cost in COSTS))]
    return wr.ParallelCoordinatesPlot(
        columns=[wr.ParallelCoordinatesPlotColumn(metric=name) for name in names], layout=wr.Layout(**WIDE)
    )
