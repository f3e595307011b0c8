"""The command line put together: one application, one command a verb."""

from __future__ import annotations

from crossbit.cli.add import add
from crossbit.cli.application import application
from crossbit.cli.calibrate import calibrate
from crossbit.cli.check_data import data_verbs
from crossbit.cli.demo import demo
from crossbit.cli.encode import encode
from crossbit.cli.evaluate import evaluate
from crossbit.cli.export import export
from crossbit.cli.fit import fit
from crossbit.cli.index import index
from crossbit.cli.info import info
from crossbit.cli.leaks import leaks
from crossbit.cli.methods import methods
from crossbit.cli.migrate import migrate
from crossbit.cli.prepare import prepare
from crossbit.cli.report import report
from crossbit.cli.reproduce import reproduce
from crossbit.cli.search import search
from crossbit.cli.serve import serve
from crossbit.cli.share import share
from crossbit.cli.tune import tune
from crossbit.cli.upkeep import check, compact, remove

app = application()

for _verb in (
    demo,
    fit,
    tune,
    calibrate,
    encode,
    index,
    export,
    search,
    serve,
    add,
    remove,
    compact,
    check,
    migrate,
    evaluate,
    reproduce,
    report,
    methods,
    info,
    share,
):
    app.command(_verb.__name__)(_verb)
data_verbs.command("prepare")(prepare)
data_verbs.command("leaks")(leaks)
app.add_typer(data_verbs)
