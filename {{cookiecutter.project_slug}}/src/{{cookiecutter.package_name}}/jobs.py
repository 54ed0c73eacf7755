"""Several things at once, in threads: the compiled module lets them run side by side."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

MOST_JOBS = 1000
AHEAD = 1000
"""How many items may be taken before the first of them is done: this bounds the memory."""
TICK_SECONDS = 0.1

Item = TypeVar("Item")
Result = TypeVar("Result")
Notice = Callable[[Item], None]
Work = Callable[[Item, Notice[Item]], Result]
Task = tuple[Item, Future[Result]]


def usable_cpus() -> int:
    """Tell on how many CPUs this process may run."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(
    work: Work[Item, Result], items: Iterable[Item], jobs: int, notice: Notice[Item]
) -> Iterator[tuple[Item, Result]]:
    """Do the work on each item, some at once, and yield each with its result in the order of the items.

    Args:
        work: called with an item, and with what to call now and then while it goes on.
        items: taken one by one.
        jobs: how many at once; 1 is done without threads.
        notice: called now and then, in the caller's thread, with the item that is to be yielded next.

    Raises:
        RuntimeError: the system lets no further thread start.

    """
    if jobs == 1:
        for item in items:
            yield item, work(item, notice)
        return
    tasks: SimpleQueue[Task[Item, Result] | None] = SimpleQueue()
    waiting: deque[Task[Item, Result]] = deque()
    errors: list[Exception] = []
    try:
        for _ in range(jobs):
            # A daemon that waits for a pipe does not keep the program from ending.
            Thread(target=serve, args=(work, tasks), daemon=True).start()
        for item in until_error(items, errors):
            waiting.append((item, Future()))
            tasks.put(waiting[-1])
            if len(waiting) == AHEAD:
                yield finished(*waiting.popleft(), notice)
        while waiting:
            yield finished(*waiting.popleft(), notice)
    finally:
        for _ in range(jobs):
            tasks.put(None)
    if errors:
        raise errors[0]


def until_error(items: Iterable[Item], errors: list[Exception]) -> Iterator[Item]:
    """Yield the items; an error that ends them is noted, so that those before it can have their turn."""
    try:
        yield from items
    except Exception as error:
        errors.append(error)


def serve(work: Work[Item, Result], tasks: "SimpleQueue[Task[Item, Result] | None]") -> None:
    """Do the work on what is put into the queue, until that is None."""
    while (task := tasks.get()) is not None:
        item, future = task
        try:
            future.set_result(work(item, lambda _: None))
        except BaseException as error:
            future.set_exception(error)


def finished(item: Item, future: "Future[Result]", notice: Notice[Item]) -> tuple[Item, Result]:
    """Wait for one item's result."""
    while not wait([future], TICK_SECONDS).done:
        notice(item)
    return item, future.result()
