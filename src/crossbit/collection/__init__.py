"""A folder that can be searched and changed: a hasher, the codes of its items, the items and a manifest."""

from crossbit.collection.additions import Added
from crossbit.collection.block import Modality
from crossbit.collection.check import Problem, check_collection
from crossbit.collection.engines import BuiltEngine, EngineName
from crossbit.collection.hits import Hit
from crossbit.collection.items import Items
from crossbit.collection.migrate import FeaturesOf, Migrated
from crossbit.collection.repair import repair_collection
from crossbit.collection.searchable import Collection
from crossbit.collection.snapshot import Item, Snapshot
from crossbit.collection.thumbnails import small_picture

__all__ = [
    "Added",
    "BuiltEngine",
    "Collection",
    "EngineName",
    "FeaturesOf",
    "Hit",
    "Item",
    "Items",
    "Migrated",
    "Modality",
    "Problem",
    "Snapshot",
    "check_collection",
    "repair_collection",
    "small_picture",
]
