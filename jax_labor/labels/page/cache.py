"""Keeps what was slow to make, within a bound, and makes nothing twice at the same time."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any


class Cache:
    """The most recently used values, up to `limit` bytes together."""

    def __init__(self, limit: int):
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._making: dict[Hashable, Future] = {}
        self._bytes = 0

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._kept

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._bytes

    def get(self, key: Hashable, make: Callable[[], Any], size: Callable[[Any], int]) -> Any:
        """The value of `key`, made by one thread while others that ask for it wait.

        Args:
            key: names the value.
            make: makes it; what it raises reaches everyone who waits and is not kept.
            size: bytes of a value; one above the whole limit is handed out but not kept.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
            mine = key not in self._making
            future = self._making.setdefault(key, Future())
        if not mine:
            return future.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._making[key]
            future.set_exception(error)
            raise
        self._keep(key, value, size(value))
        future.set_result(value)
        return value

    def _keep(self, key: Hashable, value: Any, size: int) -> None:
        with self._lock:
            del self._making[key]
            self._kept[key] = value, size
            self._bytes += size
            while self._bytes > self._limit:
                self._bytes -= self._kept.popitem(last=False)[1][1]
