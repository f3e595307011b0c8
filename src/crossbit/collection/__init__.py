"""A folder that can be searched: a hasher, the codes of its items, the items themselves and a manifest."""

from crossbit.collection.items import Items
from crossbit.collection.searchable import Collection, Hit, Modality
from crossbit.collection.thumbnails import small_picture

__all__ = ["Collection", "Hit", "Items", "Modality", "small_picture"]
