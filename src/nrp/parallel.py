"""Independent tasks, mapped over the cores of this machine or over the workers of a Dask cluster."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from functools import partial
from threading import Lock
from typing import Any

from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from nrp.base import InvalidSetting
from nrp.progress import progress, quiet

_SECONDS_TO_CONNECT = 10.0
_SCHEDULER = "NRP_SCHEDULER"
"""Variable of the environment by which processes started inside `use_scheduler` find the scheduler."""
_one_at_a_time = Lock()
_inside_a_task = ContextVar("inside_a_task", default=False)


def map_tasks(
    function: Callable,
    tasks: Sequence[tuple],
    *,
    workers: int | None = None,
    title: str,
    threads: int = 1,
    here: bool = False,
) -> list:
    """Return the results of a function for many tuples of arguments, in the order of these tasks.

    Inside `use_scheduler`, or where a client of Dask is active, its workers run the tasks, and otherwise
    processes of this machine; the results are the same.  A map inside a task runs where that task does.

    The function is called as ``function(*task)``; it, the tasks and the results must be picklable.  Dask runs
    a task again when it loses its worker, and a task has to allow that; tasks that must run `here` never go
    there.  On this machine the `workers` are processes, by default one per core, in which a task has so many
    `threads`; a single one is this process, which runs task after task with all cores.  What the tasks tell
    of their own progress is silent, except that of a single task in this process.

    Raises
    ------
    ConnectionError
        If the scheduler is lost, or a task takes its workers down again and again.  What a task raises is
        raised here, and the tasks that have not begun are dropped.
    """
    tasks = list(tasks)
    client = None if here else _active_client()
    workers = 1 if _inside_a_task.get() else min(workers or os.cpu_count() or 1, len(tasks))
    if client is not None:
        done = _on_cluster(client, function, tasks, threads)
    elif workers > 1:
        pool = Parallel(n_jobs=workers, return_as="generator_unordered", inner_max_num_threads=threads)
        done = pool(delayed(_run)(function, threads, *numbered) for numbered in enumerate(tasks))
    else:
        done = _in_this_process(function, tasks)
    with closing(done), warnings.catch_warnings():
        # It is replaced: joblib ends processes whose memory has grown.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given")
        results = dict(progress(done, total=len(tasks), title=title))
    return [results[number] for number in range(len(tasks))]


@contextmanager
def use_scheduler(address: str | None) -> Iterator[None]:
    """Let `map_tasks` run its tasks through Dask, here and in processes that are started here.

    The address is ``tcp://HOST:PORT`` of a running scheduler: it and its workers need this package and the
    same files under the same paths.  Or ``local:N``, for N processes of this machine.  None changes nothing.

    Raises
    ------
    InvalidSetting
        If that is no such address, no scheduler with workers answers there, or Dask is not installed.
    """
    if address is None:
        yield
        return
    wanted = f"scheduler = {address!r}: must be tcp://HOST:PORT or local:N"
    if not re.fullmatch(r"local:[1-9]\d{0,3}|tcp://\S+:\d{1,5}", address):
        raise InvalidSetting(f"{wanted}, N a number of processes")
    try:
        from distributed import Client, LocalCluster
        from distributed.utils import silence_logging_cmgr
    except ImportError:
        raise InvalidSetting(
            f"{wanted}, and either needs the package 'distributed' (extra 'cluster')"
        ) from None
    with ExitStack() as stack:
        # What matters is raised; Dask's own log would repeat it with tracebacks.
        stack.enter_context(silence_logging_cmgr("CRITICAL"))
        place = address
        if address.startswith("local:"):
            # Dask's limits of memory would end tasks that run well without it.
            cluster = LocalCluster(
                n_workers=int(address.removeprefix("local:")),
                threads_per_worker=1,
                memory_limit=None,
                dashboard_address="127.0.0.1:0",
                silence_logs="CRITICAL",
                preload=[__name__],
            )
            place = stack.enter_context(cluster)
        elif not _has_workers(address):
            raise InvalidSetting(f"{wanted} of a scheduler with workers, and none answers there")
        client = stack.enter_context(Client(place, timeout=_SECONDS_TO_CONNECT))
        os.environ[_SCHEDULER] = client.scheduler.address
        stack.callback(os.environ.pop, _SCHEDULER, None)
        yield


def dask_setup(_: Any) -> None:
    """Leave Ctrl-C to the process that started this worker; Dask calls it in the workers of ``local:N``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _has_workers(address: str) -> bool:
    """Return whether a scheduler with workers answers in time; a client might wait for it forever."""
    from distributed import rpc

    async def ask() -> None:
        async with rpc(address) as scheduler:
            while not (await scheduler.identity()).get("workers"):
                await asyncio.sleep(0.1)

    # In a thread of its own, for a notebook runs an event loop in this one.
    with ThreadPoolExecutor(1) as pool:
        try:
            pool.submit(asyncio.run, asyncio.wait_for(ask(), _SECONDS_TO_CONNECT)).result()
        except Exception:  # Anything may listen there, and answer with anything.
            return False
    return True


def _active_client() -> Any:
    if _inside_a_task.get():
        return None
    if distributed := sys.modules.get("distributed"):
        with suppress(ValueError):
            return distributed.Client.current()
    if address := os.environ.get(_SCHEDULER):  # in the kernel of a chapter
        from distributed import Client

        return Client(address, timeout=_SECONDS_TO_CONNECT)
    return None


def _on_cluster(
    client: Any, function: Callable, tasks: list[tuple], threads: int
) -> Generator[tuple, None, None]:
    from distributed import CancelledError, KilledWorker, as_completed

    futures: list = []
    try:
        for number, task in enumerate(tasks):
            # Bound to its arguments, which Dask would otherwise search for values of its own.
            bound = partial(_run, function, threads, number, task)
            futures.append(client.submit(bound, pure=False, priority=-number))
        for future in as_completed(futures):
            yield future.result()
            future.release()
    except (CancelledError, KilledWorker) as error:
        # Dask's own words for a scheduler or worker that is lost, in several lines.
        raise ConnectionError("scheduler: " + " ".join(str(error).split())) from None
    finally:
        client.cancel(futures)


def _in_this_process(function: Callable, tasks: list[tuple]) -> Generator[tuple, None, None]:
    for number, task in enumerate(tasks):
        with quiet() if len(tasks) > 1 else nullcontext():
            result = function(*task)
        yield number, result


def _run(function: Callable, threads: int, number: int, task: tuple) -> tuple:
    """Run a task in a worker process."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
    # For good: nothing but tasks runs here.
    _inside_a_task.set(True)
    # Tasks seed the random numbers of their process, so a Dask worker of several threads runs one of them.
    with _one_at_a_time, threadpool_limits(threads), quiet():
        return number, function(*task)
