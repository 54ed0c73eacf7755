"""Memory that calls do not give back; `make leaks` runs this, because it takes its time."""

import pytest
from psleak import MemoryLeakTestCase

from {{ cookiecutter.package_name }} import crc32c


class TestLeaks(MemoryLeakTestCase):
    """Each call is repeated until the memory of the process has settled."""

    def test_small(self):
        self.execute(lambda: crc32c(bytes(100)))

    def test_large(self):
        self.execute(lambda: crc32c(bytes(100_000)))

    def test_wrong_value(self):
        def call():
            with pytest.raises(OverflowError):
                crc32c(bytes(100_000), 2**32)

        self.execute(call)

    def test_wrong_data(self):
        def call():
            with pytest.raises(TypeError):
                crc32c("text")

        self.execute(call)
