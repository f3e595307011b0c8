"""Progress drawn as bars on a terminal's stderr, one a stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.progress import Task as BarTask
from rich.table import Column
from rich.text import Text

from crossbit.progress import Progress, Step


@contextmanager
def bars_drawn() -> Iterator[Progress]:
    """A progress callback that draws on stderr until the block ends."""
    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        # The loss terms take what room is left and are cut where it ends: no window is too narrow for the rest.
        TextColumn("{task.fields[terms]}", style="dim", table_column=Column(ratio=1, no_wrap=True)),
    )
    with Bars(*columns, console=Console(stderr=True), expand=True) as bars:
        stages: dict[str, TaskID] = {}

        def draw(step: Step) -> None:
            if step.stage not in stages:
                stages[step.stage] = bars.add_task(escape(step.stage), total=step.total, terms="")
            terms = "  ".join(f"{name} {value:.4g}" for name, value in step.terms.items())
            bars.update(stages[step.stage], completed=step.done, total=step.total, terms=terms)

        yield draw


class _Rate(ProgressColumn):
    """How many steps a second."""

    def render(self, task: BarTask) -> Text:
        """The rate as text, or nothing before there is one."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f}/s" if speed else "", style="dim")
