"""The edit distance of texts."""

from ._native import distance

__all__ = ["distance"]
__version__ = "0.1.0"
