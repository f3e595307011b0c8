"""The commands. Each is one file; what needs torch imports it when the command runs."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from crossbit.cli.application import application_for
from crossbit.cli.console import say
from crossbit.errors import CrossbitError

__all__ = ["main"]


def main() -> None:
    """Run the command line. Exit code 0: done; 1: an error, in one sentence on stderr; 2: wrong usage; 130: Ctrl-C."""
    # The networks and their batches are small: a second thread gains little, and where other programs want the same
    # cores the threads wait for each other and it is much slower. One thread also gives the same codes whatever the
    # number of cores. Torch reads this when a command imports it.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        application_for(sys.argv[1:])()
    except CrossbitError as error:
        _fail(error, str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: nothing more to say to it
        sys.exit(1)
    except OSError as error:
        _fail(error, f"{error.filename or 'A file'} could not be read or written: {error.strerror or error}.")
    except Exception as error:  # a setting that no check knows, too little memory, a fault of ours: still one sentence
        told = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
        _fail(
            error, f"This was not foreseen: {told}. Check the settings; crossbit --debug ... shows where it happened."
        )


def _fail(error: Exception, sentence: str) -> NoReturn:
    if "--debug" in sys.argv:
        raise error
    say(f"crossbit: {sentence}")
    sys.exit(1)
