"""What running a function costs on this machine: the median time of a call, and the memory that a call takes.

Source
------
Own. On Linux the kernel keeps a process's highest resident memory, and forgets it on request
(``/proc/self/clear_refs``, proc(5)).

Departures
----------
Where the kernel does not do that, `tracemalloc` sees what Python and NumPy allocate, and not what other libraries do. A
`Peak` says which of the two was used.

Checked
-------
tests/unit/test_bill.py: planted times and planted memory are found, and are told from others.

Cost
----
A few milliseconds beside the calls; a collection of garbage for each `peak_above`.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import platform
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

__all__ = ["Peak", "machine_text", "median_seconds", "one_native_thread", "peak_above"]

BLOCK_SECONDS = 50e-6
LARGEST_BLOCK = 100
CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
RESIDENT = "the process's highest resident memory during the call, less what it held before"
TRACED = "what Python and NumPy allocated at most (tracemalloc); memory of other libraries is not seen on this system"


@dataclass(frozen=True)
class Peak:
    """The most memory that a call took above what was held before, in bytes.

    Attributes
    ----------
    how : str
        How it was measured, in words.
    seconds : float or None
        The time of the call; None where measuring slowed it.
    result : object
        What the call returned.
    """

    bytes: int
    how: str
    seconds: float | None
    result: Any


def median_seconds(
    call: Callable[[int], object], *, seconds: float = 1.0, least: int = 3, most: int = 1_000
) -> tuple[float, int]:
    """The median time of one call, and how many were timed.

    The first call is not counted, unless it alone takes longer than `seconds`. Quick calls are timed in blocks, so that
    the clock itself does not count.

    Parameters
    ----------
    call : function
        Called with 0, 1, 2, ...
    seconds : float
        After this time no further call is begun, once there are `least`.
    least, most : int
        How many blocks at least and at most.

    Examples
    --------
    >>> from time import sleep
    >>> took, calls = median_seconds(lambda i: sleep(0.002), seconds=0.02)
    >>> took >= 0.002, calls >= 3
    (True, True)
    """
    first = _clock(call, 0, 1)
    times = [first] if first > seconds else []
    i, warm = (1, first) if times else (2, _clock(call, 1, 1))
    block = max(1, min(LARGEST_BLOCK, int(BLOCK_SECONDS / max(warm, 1e-9))))
    end = perf_counter() + seconds
    while len(times) < least or (len(times) < most and perf_counter() < end):
        times.append(_clock(call, i, block))
        i += block
    return median(times), len(times) * block


def _clock(call: Callable[[int], object], first: int, block: int) -> float:
    start = perf_counter()
    for i in range(first, first + block):
        call(i)
    return (perf_counter() - start) / block


def peak_above(call: Callable[[], Any]) -> Peak:
    """The most memory that the process held during a call, above what it held before.

    On Linux all memory counts, whichever library takes it, to about a megabyte. What the process had freed is given
    back to the system first, so that memory which is used again counts too.

    Examples
    --------
    >>> import numpy as np
    >>> peak_above(lambda: np.ones(16_000_000)).bytes > 100_000_000
    True
    """
    before = _resident_before()
    if before is None:
        return _traced(call)
    start = perf_counter()
    result = call()
    seconds = perf_counter() - start
    return Peak(max(_status("VmHWM") - before, 0), RESIDENT, seconds, result)


def _resident_before() -> int | None:
    """The memory that the process holds, its mark of the highest set back to that; None where that can't be done."""
    if not sys.platform.startswith("linux"):
        return None
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # other C libraries than glibc have no malloc_trim
        ctypes.CDLL(None).malloc_trim(0)
    try:
        CLEAR.write_text("5", encoding="ascii")
        before = _status("VmRSS")
        return before if _status("VmHWM") <= before + 2 * 2**20 else None
    except (OSError, ValueError):
        return None


def _status(key: str) -> int:
    """A number of ``/proc/self/status``, in bytes."""
    for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"{STATUS} has no {key}")


def _traced(call: Callable[[], Any]) -> Peak:
    was_on = tracemalloc.is_tracing()
    gc.collect()
    if not was_on:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        result = call()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        if not was_on:
            tracemalloc.stop()
    return Peak(max(peak - before, 0), TRACED, None, result)


@contextlib.contextmanager
def one_native_thread() -> Iterator[None]:
    """One thread for BLAS, OpenMP and torch (where it is loaded); their own numbers again on leaving."""
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch is not None else 1
    with threadpool_limits(limits=1):
        if torch is not None:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(threads)


def machine_text() -> str:
    """The processor, its cores and the system, such as ``AMD EPYC 7763, 8 cores, Linux 6.1``."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("model name", "Model")) and line.partition(":")[2].strip():
                model = line.partition(":")[2].strip()
                break
    cores = os.cpu_count() or 1
    release = ".".join(platform.release().split(".")[:2])
    return f"{model}, {cores} core{'s' if cores > 1 else ''}, {platform.system()} {release}".strip()[:200]
