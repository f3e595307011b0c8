"""Sharing hashers: a folder or a repository with the hasher, a model card made from it, and its export."""

from crossbit.sharing.card import CardNotes, model_card
from crossbit.sharing.hub import download, upload
from crossbit.sharing.layout import HUB, is_repo_id
from crossbit.sharing.shareable import Shareable, check_repo_id, fetch

__all__ = ["HUB", "CardNotes", "Shareable", "check_repo_id", "download", "fetch", "is_repo_id", "model_card", "upload"]
