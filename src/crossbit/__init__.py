"""crossbit: compact binary codes for images and text, learned without labels, and the search that uses them."""

from crossbit.codes import Codes
from crossbit.hasher import Hasher, HashFunction
from crossbit.pairs import PairedFeatures, Split

__version__ = "0.1.0"

__all__ = ["Codes", "HashFunction", "Hasher", "PairedFeatures", "Split", "__version__"]
