"""How fast the compiled module is, beside its twin in Python and the google-crc32c package."""

import google_crc32c
import pyperf
import reference

from {{ cookiecutter.package_name }} import crc32c

# From 8 KiB on, the compiled module releases the GIL: two sizes show what that costs.
SIZES = {"16 B": 16, "1 KiB": 1 << 10, "8 KiB - 1 B": (1 << 13) - 1, "8 KiB": 1 << 13, "1 MiB": 1 << 20}

runner = pyperf.Runner()
for name, size in SIZES.items():
    data = bytes(size)
    runner.bench_func(f"compiled, {name}", crc32c, data)
    runner.bench_func(f"google-crc32c ({google_crc32c.implementation}), {name}", google_crc32c.value, data)
    if size <= 1 << 10:
        runner.bench_func(f"Python, {name}", reference.crc32c, data)
