"""Sources: a person's own pictures and texts, in whatever they are stored, as one stream of records."""

from crossbit.sources.record import Record, Source, Value

__all__ = ["Record", "Source", "Value"]
