"""Training from pixels: a deep method's image network on top of a backbone that learns with it."""

from crossbit.encoders.backbones import Backbone, EfficientNetLite0Backbone, TinyBackbone
from crossbit.encoders.tuned import TunedEncoder
from crossbit.pixels.fit import FittedFromPixels, FromPixels

__all__ = [
    "Backbone",
    "EfficientNetLite0Backbone",
    "FittedFromPixels",
    "FromPixels",
    "TinyBackbone",
    "TunedEncoder",
]
