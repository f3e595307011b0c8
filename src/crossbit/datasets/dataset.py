"""What a data set is once it is loaded: pairs, a split, and what stands behind the rows."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from crossbit.datasets.sentences import Sentences
from crossbit.encoders.encoder import Skipped
from crossbit.encoders.vocabulary import Vocabulary
from crossbit.errors import DataError, LabelError
from crossbit.pairs import Labels, PairedFeatures, Split, check_labels, row_digests

FINE = "-fine"
"""What the name of a data set ends in whose relevance is told by its fine labels."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """n pairs as features, their split, and the captions and pictures they were made from.

    name: for tables. pairs: image and text features, with the labels that evaluations use and, where labels have two
    levels, both of them. split: train, query and
    database rows; no query may have the content of another part's pair. captions: n texts. labels_fine: (n, c) bool
    or None, a finer second labelling. label_names, label_names_fine: names of the label columns, or empty where they
    are not known. pictures: n picture files' contents, or None where only features are known. encoders:
    fingerprints by modality, empty for features from elsewhere. skipped: items that were left out, with reasons, by
    their place in the source. revision: changes when the rows do. ids: n different names of the pairs, or empty where
    they have none but their row numbers. vocabulary: the bag of words or TF-IDF that made the text
    features, where one did. sentences: the query pairs' captions one by one, where they were read so; their number may
    differ from that of the pairs.

    Raises DataError for lengths that do not fit or an id given twice, SplitError for a query that is
    also in the database.
    """

    name: str
    pairs: PairedFeatures
    split: Split
    captions: tuple[str, ...]
    labels_fine: Labels | None = None
    label_names: tuple[str, ...] = ()
    label_names_fine: tuple[str, ...] = ()
    pictures: Sequence[bytes] | None = None
    encoders: Mapping[str, str] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    revision: str = ""
    ids: tuple[str, ...] = ()
    vocabulary: Vocabulary | None = None
    sentences: Sentences | None = None

    def __post_init__(self) -> None:
        n = len(self.pairs)
        if len(self.captions) != n:
            raise DataError(f"{self.name}: {n} pairs need {n} captions; got {len(self.captions)}.")
        if self.pictures is not None and len(self.pictures) != n:
            raise DataError(f"{self.name}: {n} pairs need {n} pictures; got {len(self.pictures)}.")
        if self.ids and len(self.ids) != n:
            raise DataError(f"{self.name}: {n} pairs need {n} ids, or none; got {len(self.ids)}.")
        if len(set(self.ids)) < len(self.ids):
            twice = next(name for name, times in Counter(self.ids).items() if times > 1)
            raise DataError(f"{self.name}: ids must differ; {twice!r} is given twice.")
        if self.labels_fine is not None:
            object.__setattr__(self, "labels_fine", check_labels(self.labels_fine, n))
        for labels, names in ((self.pairs.labels, self.label_names), (self.labels_fine, self.label_names_fine)):
            if names and (labels is None or labels.shape[1] != len(names)):
                given = "no labels" if labels is None else f"{labels.shape[1]} label columns"
                raise LabelError(f"{self.name}: there are {len(names)} label names, but {given}.")
        self.split.check_duplicates(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def by_fine_labels(self) -> Dataset:
        """The same pairs and split with relevance by the fine labels: another data set, named NAME-fine.

        Raises LabelError where there are no fine labels, or where they are the labels.
        """
        if self.labels_fine is None or not self.pairs.levels:
            raise LabelError(f"{self.name} has no labels_fine beside its labels; {self.name}{FINE} needs them.")
        return dataclasses.replace(
            self,
            name=f"{self.name}{FINE}",
            pairs=dataclasses.replace(self.pairs, labels=self.labels_fine),
            label_names=self.label_names_fine,
            revision=f"{self.revision}{FINE}" if self.revision else "",
        )

    def image_bytes(self, row: int) -> bytes | None:
        """The picture of a pair as the content of a picture file, or None where only its features are known."""
        return None if self.pictures is None else bytes(self.pictures[row])


def without_duplicates(split: Split, pairs: PairedFeatures) -> tuple[Split, tuple[Skipped, ...]]:
    """The split with every train or database row taken out that has the content of a query, and which those were."""
    digests = row_digests(pairs)
    query_of = {digests[row]: int(row) for row in split.query}
    others = np.union1d(split.train, split.database)
    doubles = [int(row) for row in others if digests[row] in query_of]
    if not doubles:
        return split, ()
    kept = Split(
        train=np.setdiff1d(split.train, doubles), query=split.query, database=np.setdiff1d(split.database, doubles)
    )
    reason = "the same content as query row {}; taken out of database and train"
    return kept, tuple(Skipped(row, reason.format(query_of[digests[row]])) for row in doubles)
