"""Do long work apart from the event loop, in a thread or in a process of its own.

A thread does not help where much is to be done: the interpreter serves one thread at a time, and some calls
into C keep it for a second. Webhooks would wait.
"""

from __future__ import annotations

import asyncio
import copyreg
import gc
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final, TypeVar, TypeVarTuple
from weakref import WeakValueDictionary

from anyio import BrokenWorkerProcess, to_process

_SMALL: Final = 65_536
LARGE: Final = 2_000_000
T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_turns: WeakValueDictionary[tuple[str, bool], asyncio.Lock] = WeakValueDictionary()


async def apart(caller: str, size: int, work: Callable[[*Ts], T], *args: *Ts) -> T:
    """Return `work(*args)`, done where it holds up no other request; `size` is that of its input in bytes.

    Above `LARGE`, a process does it, one call after the other; then `work`, its arguments and its result must
    be picklable. The process is started by the first call and ends with the event loop. Callers take turns:
    each has one call in a thread and one in the process or in the line for it, and its others wait for those.
    """
    if size <= _SMALL:
        return work(*args)
    async with _turns.setdefault((caller, size > LARGE), asyncio.Lock()):
        return await (_in_process(work, *args) if size > LARGE else asyncio.to_thread(work, *args))


async def _in_process(work: Callable[[*Ts], T], *args: *Ts) -> T:
    to_process.current_default_process_limiter().total_tokens = 1
    try:
        return await to_process.run_sync(_work, work, args)
    except BrokenWorkerProcess:  # it was killed, perhaps long ago: another is started
        return await to_process.run_sync(_work, work, args)


def _work(work: Callable[[*Ts], T], args: tuple[*Ts]) -> T:
    gc.disable()  # all that a call makes goes with its end
    return work(*args)


def _proxy(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)


copyreg.pickle(MappingProxyType, lambda proxy: (_proxy, (dict(proxy),)))  # settings hold some
