"""A pytest plugin that runs each test many times, and fails it if memory or another resource grows.

`make leaks` uses it with the tests of the C extension. It skips tests whose name contains "threads", because the stacks
of new threads look like a leak, and Hypothesis tests, because Hypothesis keeps examples in memory.
"""

from collections.abc import Generator

import pytest
from psleak import Checkers, MemoryLeakTestCase

OPTIONS = {
    # Reference cycles are not leaks, because the garbage collector removes them.
    "checkers": Checkers.exclude("gcgarbage"),
    # Calls in the first run. Each further run makes 50% more, until memory is stable and the test passes.
    "times": 40,
    "retries": 6,
    # The size of the process varies by some pages. The size of the heap, without tcache, is exact and has no tolerance.
    "tolerance": dict.fromkeys(("uss", "rss", "vms"), 1 << 20),
}


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Run a test with psleak."""
    test = pyfuncitem.obj
    if getattr(test, "is_hypothesis_test", False):
        pytest.skip("Hypothesis keeps examples in memory")
    if "threads" in pyfuncitem.name:
        pytest.skip("thread stacks look like a leak")
    leak_test = MemoryLeakTestCase()
    pyfuncitem.obj = lambda **arguments: leak_test.execute(lambda: test(**arguments), **OPTIONS)
    return (yield)
