"""Run Python in a process of its own in which torch cannot be imported, as on a machine that only searches."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from crossbit.testing.verdict import require

BLOCK = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch" or name.startswith("torch."):
            raise ModuleNotFoundError(f"No module named {name!r} (blocked on purpose)", name="torch")
        return None

sys.meta_path.insert(0, NoTorch())
"""


def run_without_torch(source: str, arguments: Sequence[str] = ()) -> str:
    """Run Python source with sys.argv[1:] = arguments where importing torch fails, and return what it printed.

    Raises AssertionError with the process's own words if it does not end well. It uses this interpreter.
    """
    done = subprocess.run(
        [sys.executable, "-c", BLOCK + source, *arguments], capture_output=True, text=True, check=False
    )
    require(done.returncode == 0, f"A process without torch failed ({done.returncode}):\n{done.stderr}")
    return done.stdout
