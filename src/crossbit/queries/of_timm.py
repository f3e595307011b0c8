"""Picture models by the package timm, as modules that a graph is made from."""

from __future__ import annotations

from crossbit.encoders.hub import HubPictures
from crossbit.encoders.hub_timm import load_model
from crossbit.queries.traceable import Traceable, of_pictures


def pictures(encoder: HubPictures) -> Traceable:
    """Prepared pictures to the pooled features before the classifier."""
    torch, model = load_model(encoder.folder)
    return of_pictures(encoder, torch, model, encoder.preparation)
