"""Reads pickles as data: a stack machine that imports nothing and calls nothing that a file names.

Python's own unpickler calls whatever a file asks for. This one knows containers, numbers and text,
and a table of names that stand for functions of ours; every other name is refused. `pickletools`
takes the file apart, so a claimed size never allocates more than there is.
"""

import pickletools
from collections.abc import Callable, Hashable, Mapping
from typing import Any, BinaryIO

_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
_SIZED = (list, tuple, dict, set, str, bytes)
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Forbidden(Exception):
    """A pickle asks for more than data; the text says for what."""


class Name:
    """A global that a pickle names, allowed by the table: never imported, only compared."""

    def __init__(self, name: str, function: Callable):
        self.name, self.function = name, function


def read_pickle(
    stream: BinaryIO,
    names: Mapping[str, Callable],
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """Read one pickle from `stream`, up to its end and no further.

    Args:
      stream: where from.
      names: "module.name" -> the function of ours that stands for it. It is given the
        arguments in the file.
      persistent: what to do with a reference to something outside; None refuses it.

    Raises:
      Forbidden: the pickle names, calls or refers to anything else.
      ValueError, IndexError, KeyError, TypeError, ...: it is damaged.
    """
    return _Machine(names, persistent).run(stream)


class _Machine:
    def __init__(self, names, persistent):
        self.names, self.persistent = names, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.given = 0

    def run(self, stream):
        self.position = stream.tell
        for code, argument, _ in pickletools.genops(stream):
            if code.name == "STOP":
                return self.stack.pop()
            self.step(code.name, argument)
        raise ValueError("the end is missing")

    def step(self, code, argument):
        push = self.stack.append
        if code in _VALUES:
            push(argument)
        elif code in _CONSTANTS:
            push(_CONSTANTS[code])
        elif code in _EMPTY:
            push(_EMPTY[code]())
        elif code in _TUPLES:
            push(tuple(self.take(_TUPLES[code])))
        elif code == "TUPLE":
            push(tuple(self.marked()))
        elif code == "MARK":
            push(_MARK)
        elif code in ("BINGET", "LONG_BINGET"):
            push(self.memo[argument])
        elif code in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif code == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif code not in ("PROTO", "FRAME"):
            self.change(code, argument)

    def change(self, code, argument):
        """Do what alters an object on the stack, or stands for one."""
        if code in ("APPEND", "APPENDS", "ADDITEMS"):
            items = self.take(1) if code == "APPEND" else self.marked()
            self.fill(items, {"ADDITEMS": set}.get(code, list))
        elif code in ("SETITEM", "SETITEMS"):
            items = self.take(2) if code == "SETITEM" else self.marked()
            self.assign(items)
        elif code == "GLOBAL":
            self.stack.append(self.name(argument.replace(" ", ".", 1)))
        elif code == "STACK_GLOBAL":
            self.stack.append(self.name(".".join(self.take(2))))
        elif code in ("REDUCE", "NEWOBJ"):
            self.stack.append(self.call(*self.take(2)))
        elif code == "BUILD":
            # The state of an object is data that none of ours needs.
            self.take(1)
        elif code == "BINPERSID" and self.persistent:
            self.stack.append(self.persistent(*self.take(1)))
        else:
            raise Forbidden(f"the operation {code} {'' if argument is None else argument}".rstrip())

    def take(self, count):
        start = len(self.stack) - count
        if start < 0 or any(item is _MARK for item in self.stack[start:]):
            raise ValueError("an operand is missing")
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def marked(self):
        start = len(self.stack) - 1
        while self.stack[start] is not _MARK:
            start -= 1
            if start < 0:
                raise ValueError("a mark is missing")
        items = self.stack[start + 1 :]
        del self.stack[start:]
        return items

    def fill(self, items, kind):
        target = self.stack[-1]
        if type(target) is not kind:
            raise ValueError(f"items for a {type(target).__name__}")
        for item in items:
            target.append(item) if kind is list else target.add(plain_key(item))

    def assign(self, items):
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise ValueError(f"entries for a {type(target).__name__}")
        target.update(zip(map(plain_key, items[::2]), items[1::2], strict=True))

    def name(self, name):
        if name not in self.names:
            raise Forbidden(name)
        return Name(name, self.names[name])

    def call(self, name, arguments):
        if not isinstance(name, Name) or type(arguments) is not tuple:
            raise Forbidden(f"a call of a {type(name).__name__}")
        # A few bytes of the file call again with the same large argument, of which each call may
        # make another copy. Twice is as in protocol 2: a storage's text, and the bytes made of it.
        self.given += sum(len(given) for given in arguments if isinstance(given, _SIZED))
        if self.given > 2 * self.position():
            raise ValueError("its calls are given more than the file holds")
        return name.function(*arguments)


def plain_key(key: Any) -> Hashable:
    """Let only text and numbers be keys: hashing a deep nest of tuples can end the process."""
    if not isinstance(key, (str, int, float, bytes)):
        raise ValueError(f"a key that is a {type(key).__name__}")
    return key


def shown(value: Any) -> str:
    """Put a value of a file into a message, never a container: its text can be without end."""
    if isinstance(value, str):
        return repr(value[:50])
    if isinstance(value, (float, type(None))) or (isinstance(value, int) and abs(value) < 2**64):
        return repr(value)
    return f"<{type(value).__name__}>"
