"""CRC-32C (Castagnoli) checksums, computed in C."""

from ._native import crc32c

__all__ = ["crc32c"]
__version__ = "0.1.0"
