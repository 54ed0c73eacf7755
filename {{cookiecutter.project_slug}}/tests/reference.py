"""The compiled module's twin: the definition of CRC-32C, one bit at a time, to test against."""


def crc32c(data: bytes, value: int = 0) -> int:
    """Return the CRC-32C (RFC 3720, section 12.1) of data that follows data of checksum `value`."""
    crc = value ^ 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
