"""A client of the service: the same verbs in Python, with typed answers. Needs the extra `client`, and nothing else."""

from crossbit.client.asked import Search, new_item
from crossbit.client.connection import Client
from crossbit.client.problem import ServiceError
from crossbit.service.models import AddAnswer, HitRecord, NewItem, SearchAnswer

__all__ = ["AddAnswer", "Client", "HitRecord", "NewItem", "Search", "SearchAnswer", "ServiceError", "new_item"]
