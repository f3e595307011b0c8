"""Every error that crossbit raises on purpose. Each message says what was expected, what was given and what to do."""


class CrossbitError(Exception):
    """The parent of all errors raised on purpose; the commands print it as one sentence."""


class DataError(CrossbitError, ValueError):
    """Features, labels or codes that cannot be used: NaN, unequal lengths, constant columns, no pairs."""


class WidthError(DataError):
    """An array of another width than a hash function, an index or a collection was made for."""


class CountsError(DataError):
    """A public data set that does not hold what it is known to hold."""


class SplitError(DataError):
    """Rows that stand on both sides of a split, out of range or listed twice."""


class LabelError(DataError):
    """Labels missing where a supervised method or an evaluation needs them."""


class SettingsError(CrossbitError, ValueError):
    """A setting outside its range."""


class FileFormatError(CrossbitError, ValueError):
    """A saved file that is truncated, altered, of an unknown version or not ours."""


class MismatchError(CrossbitError, ValueError):
    """Two things that do not belong together: a collection and another hasher, a hasher and another encoder."""


class BusyError(CrossbitError):
    """Something that only one process may do at a time is being done by another; trying again later helps."""


class EngineError(CrossbitError, RuntimeError):
    """A search engine beside crossbit (Milvus, PostgreSQL) that cannot be reached or refuses; nothing is half done."""


class MissingExtraError(CrossbitError, ImportError):
    """An optional package is needed; the message names the extra that brings it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}': run  pip install 'crossbit[{extra}]'  and try again.")
        self.extra = extra
