"""Sources: a person's own pictures and texts, in whatever they are stored, as one stream of records."""

from crossbit.sources.columns import Columns
from crossbit.sources.open import OpenedSource, open_source
from crossbit.sources.record import Record, Source, Value

__all__ = ["Columns", "OpenedSource", "Record", "Source", "Value", "open_source"]
