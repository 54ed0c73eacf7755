"""Several things at once, in threads: the compiled module lets them run side by side."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Lock, Semaphore, Thread
from typing import Generic, TypeVar

MOST_JOBS = 1000
AHEAD = 1000
"""How many items may be taken before the first of them is done: this bounds the memory."""
TICK_SECONDS = 0.1

Item = TypeVar("Item")
Result = TypeVar("Result")
Notice = Callable[[Item], None]
Work = Callable[[Item, Notice[Item]], Result]


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
        items: taken one by one, when there is room for one more.
        jobs: how many at once; 1 is done without threads.
        notice: called now and then, in the caller's thread, with the item that is to be yielded next.

    Raises:
        BaseException: what the work or the items raised, when it is that item's turn.

    """
    workers = Workers(work, items)
    if jobs == 1 or not workers.start(jobs):
        for item in items:
            yield item, work(item, notice)
        return
    try:
        while task := workers.tasks.get():
            while not task.ended.wait(TICK_SECONDS):
                notice(task.item)
            if task.error:
                raise task.error
            yield task.item, task.result
            workers.room.release()
    finally:
        workers.stop()


class Task(Generic[Item, Result]):
    """An item, and what becomes of it once it has ended."""

    item: Item
    result: Result
    error: BaseException | None = None

    def __init__(self) -> None:
        """Begin with nothing known."""
        self.ended = Event()


class Workers(Generic[Item, Result]):
    """Threads that take items one after the other, and work on them side by side.

    They are daemons: one that waits for a pipe does not keep the program from ending.
    """

    def __init__(self, work: Work[Item, Result], items: Iterable[Item]) -> None:
        """Make ready, and start nothing yet."""
        self.work = work
        self.items = iter(items)
        self.tasks: SimpleQueue[Task[Item, Result] | None] = SimpleQueue()
        self.room = Semaphore(AHEAD)
        self.turn = Lock()
        self.count = 0
        self.stopped = False

    def start(self, jobs: int) -> int:
        """Start threads, as many as wanted or as the system lets, and return how many."""
        with suppress(RuntimeError):  # what a container's bound on them raises
            while self.count < jobs:
                Thread(target=self.run, daemon=True).start()
                self.count += 1
        return self.count

    def stop(self) -> None:
        """Let each thread end after what it is doing."""
        self.stopped = True
        self.room.release(self.count)

    def run(self) -> None:
        """Work until nothing is left."""
        while task := self.take():
            try:
                task.result = self.work(task.item, lambda _: None)
            except BaseException as error:
                task.error = error
            task.ended.set()

    def take(self) -> Task[Item, Result] | None:
        """Take the next item when there is room for it; one thread at a time, so that their order is known."""
        self.room.acquire()
        with self.turn:
            task: Task[Item, Result] = Task()
            try:
                if not self.stopped:
                    task.item = next(self.items)
                    self.tasks.put(task)
                    return task
            except StopIteration:
                pass
            except BaseException as error:
                task.error = error
                task.ended.set()
                self.tasks.put(task)
            self.stopped = True
            self.tasks.put(None)
            return None
