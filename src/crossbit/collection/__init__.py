"""A folder that can be searched and changed: a hasher, the codes of its items, the items and a manifest."""

from crossbit.collection.additions import Added
from crossbit.collection.block import Modality
from crossbit.collection.hits import Hit
from crossbit.collection.items import Items
from crossbit.collection.searchable import Collection
from crossbit.collection.snapshot import Item, Snapshot
from crossbit.collection.thumbnails import small_picture

__all__ = ["Added", "Collection", "Hit", "Item", "Items", "Modality", "Snapshot", "small_picture"]
