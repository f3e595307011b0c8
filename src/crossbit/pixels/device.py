"""Where learning from pixels computes when nobody says so."""

from __future__ import annotations

import torch


def usual_device() -> str:
    """ "cuda" where torch finds a GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"
