"""Prometheus text, read as it arrives: a known series costs a cut, a look-up and a float; a new one is read strictly.

Laws:
1. The cache maps the bytes of `name{...}` to the store's number. Where the lines of a block are those of the body
   before, in its order, only their last words are cut off, and only a word that changed is read; where all keys are
   known, the block is cut in one pass into keys and words.
2. A body is never held: of what is known only numbers and values are kept, of what is new the lines.
3. New series get their numbers when the whole body has been read and is within its limits. Over a limit, or with a line
   that cannot be read, all of it is refused: half of a target's truth looks like a drop in traffic.
4. New lines of all targets together are within one `Room`, so that many targets at once do not add up.
5. A series that comes twice in one body counts once, with its first value.
"""

from __future__ import annotations

import re
import threading
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, compress
from operator import ne

import numpy as np
from numpy.typing import NDArray

from agent.collect.errors import BadExposition
from agent.collect.lines import Limits, number, read_line
from agent.store.samples import Labels

Register = Callable[[str, Labels], int]

CUT = re.compile(rb" ([^ \n]*)\n")
COMMENT = -1
NEVER = b"\n"
"""No line begins with it and no word is it."""
CACHE_SLACK = 2
"""The cache is emptied when it holds this many times the lines of one body."""
BLOCK_BYTES = 128 << 10
"""Read at once; small enough that other targets get their turn."""
ROOM_BYTES = 96 << 20
FREE_BYTES = 1 << 20
"""Of new lines that a target may always bring."""
EOF = b"# EOF"


@dataclass(frozen=True, kw_only=True)
class Scraped:
    series: NDArray[np.int32]
    """Each once."""
    values: NDArray[np.float64]


class Room:
    """How much memory the new lines of all targets may take while they are read."""

    def __init__(self, most_bytes: int = ROOM_BYTES) -> None:
        self.most_bytes = most_bytes
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """BadExposition when there is not so much left."""
        with self._lock:
            if self._taken + size > self.most_bytes:
                raise BadExposition(
                    f"new series of all targets at once are over {self.most_bytes} bytes: "
                    "nothing of this scrape was kept"
                )
            self._taken += size

    def give_back(self, size: int) -> None:
        with self._lock:
            self._taken -= size


class Order:
    """The lines of a body one after the other: their keys, numbers, and what they said last."""

    def __init__(self, keys: list[bytes], numbers: NDArray[np.int32]) -> None:
        """`keys` with the space behind them."""
        self.keys = keys
        self.numbers = numbers
        self._ends = np.fromiter(accumulate(map(len, keys), initial=0), dtype=np.int64, count=len(keys) + 1)
        self._words = [NEVER] * len(keys)
        self._values = np.full(len(keys), np.nan)

    def read(self, block: bytes, at: int) -> tuple[NDArray[np.int32], NDArray[np.float64]] | None:
        """Numbers and values by line, of whole lines that are these from `at` on; None where they are others.

        A comment's value is NaN.
        """
        past = at + block.count(b"\n")
        if past > len(self.keys) or not block.startswith(self.keys[at]):
            return None
        words = list(map(bytes.removeprefix, block[:-1].split(b"\n"), self.keys[at:past]))
        # A line that has another key stays whole, and the words are longer than what the keys leave of the block.
        if len(b"".join(words)) != len(block) - len(words) - int(self._ends[past] - self._ends[at]):
            return None
        numbers = self.numbers[at:past]
        changed = np.fromiter(map(ne, words, self._words[at:past]), dtype=np.bool_, count=len(words))
        changed &= numbers >= 0
        values = _floats(list(compress(words, changed.tolist())))
        if values is None:
            return None
        self._words[at:past] = words
        self._values[at:past][changed] = values
        return numbers, self._values[at:past]


class Exposition:
    """The reader of one target's bodies, one after the other."""

    def __init__(self, register: Register, limits: Limits, room: Room | None = None) -> None:
        self.register = register
        self.limits = limits
        self.room = room or Room()
        self.known: dict[bytes, int] = {}
        """Raw series, or all of a comment but its last word, to the store's number or COMMENT."""
        self.order = Order([], np.empty(0, dtype=np.int32))
        """Of the body before."""

    def forget(self) -> None:
        """Empties the cache: the store's numbers have changed."""
        self.known.clear()
        self.order = Order([], np.empty(0, dtype=np.int32))

    def parse(self, body: bytes) -> Scraped:
        """All samples of a body; BadExposition names the line or the limit."""
        with Body(self) as reading:
            reading.feed(body)
            return reading.finish()


class Body:
    """One body on its way in: `feed` its pieces, then `finish`, all inside a `with`."""

    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition
        self._limits = exposition.limits
        self._known = exposition.known
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._end = b""
        self._size = 0
        self._lines = 0
        self._count = 0
        self._series: list[NDArray[np.int32]] = []
        self._values: list[NDArray[np.float64]] = []
        self._order = exposition.order
        self._keys: list[bytes] = []
        self._numbers: list[NDArray[np.int32]] = []
        self._in_order = True
        self._new: list[bytes] = []
        self._new_at = array("I")
        self._new_bytes = 0
        self._taken = 0

    def __enter__(self) -> Body:
        return self

    def __exit__(self, *_: object) -> None:
        self._exposition.room.give_back(self._taken)
        self._taken = 0

    def feed(self, piece: bytes) -> None:
        """Takes any number of bytes; BadExposition as soon as a limit is passed."""
        self._size += len(piece)
        if self._size > self._limits.body_bytes:
            raise BadExposition(f"a body over {self._limits.body_bytes} bytes: nothing of this scrape was kept")
        self._end = (self._end + piece[-16:])[-16:]
        for start in range(0, len(piece), BLOCK_BYTES):
            part = piece[start : start + BLOCK_BYTES]
            self._rest.append(part)
            self._rest_bytes += len(part)
            if self._rest_bytes >= BLOCK_BYTES:
                self._take_whole_lines()

    def finish(self, *, open_metrics: bool = False) -> Scraped:
        """All samples of the body. OpenMetrics ends in `# EOF`, or was cut off."""
        if open_metrics and not self._end.rstrip().endswith(EOF):
            raise BadExposition("the body does not end in # EOF: it was cut off")
        self._take_whole_lines()
        if tail := b"".join(self._rest):
            self._line_by_line([tail])
        self._read_new()
        series = np.concatenate(self._series) if self._series else np.empty(0, dtype=np.int32)
        values = np.concatenate(self._values) if self._values else np.empty(0)
        if len(self._known) > CACHE_SLACK * self._lines + 1000:
            self._known.clear()
        if not self._in_order:
            self._exposition.order = Order(self._keys, np.concatenate(self._numbers))
        if len(series) > 1 and not (np.diff(series) > 0).all():
            series, firsts = np.unique(series, return_index=True)
            values = values[firsts]
        return Scraped(series=series, values=values)

    def _take_whole_lines(self) -> None:
        data = b"".join(self._rest)
        end = data.rfind(b"\n") + 1
        self._rest, self._rest_bytes = [data[end:]], len(data) - end
        if self._rest_bytes > self._limits.line_bytes:
            raise BadExposition(f"a line over {self._limits.line_bytes} bytes: nothing of this scrape was kept")
        if end:
            self._block(data[:end])

    def _block(self, block: bytes) -> None:
        """Whole lines: at one go where all of them are known, else one by one."""
        found = self._order.read(block, self._lines)
        if found is None:
            self._leave_order()
            found = self._look_up(block)
        if found is None:
            self._line_by_line(block[:-1].split(b"\n"))
            return
        numbers, values = found
        self._lines += len(numbers)
        samples = numbers >= 0
        self._keep(numbers[samples], values[samples])

    def _leave_order(self) -> None:
        """From here on the body's own order is put together, for the next one."""
        if self._in_order:
            self._in_order = False
            self._keys, self._numbers = self._order.keys[: self._lines], [self._order.numbers[: self._lines]]

    def _look_up(self, block: bytes) -> tuple[NDArray[np.int32], NDArray[np.float64]] | None:
        """Like `Order.read`, by the cache."""
        parts = CUT.split(block)
        keys, words = parts[0:-1:2], parts[1::2]
        found = list(map(self._known.get, keys))
        if parts[-1] or None in found:
            return None
        numbers = np.array(found, dtype=np.int32)
        samples = numbers >= 0
        read = _floats(list(compress(words, samples.tolist())))
        if read is None:
            return None
        values = np.full(len(words), np.nan)
        values[samples] = read
        self._keys += [key + b" " for key in keys]
        self._numbers.append(numbers)
        return numbers, values

    def _line_by_line(self, lines: list[bytes]) -> None:
        self._leave_order()
        known, series, values = self._known.get, [], []
        for at, line in enumerate(lines, start=self._lines + 1):
            key, _, word = line.rpartition(b" ")
            found = known(key)
            if found is None and line[:1] != b"#":
                found, word = self._with_more_behind(line)
            if found is None:
                self._put_aside(line, key, at)
            elif found >= 0:
                try:
                    values.append(number(word))
                except (ValueError, BadExposition) as error:
                    raise BadExposition(f"line {at}: {error}") from error
                series.append(found)
        self._lines += len(lines)
        self._keys += [NEVER] * len(lines)
        self._numbers.append(np.full(len(lines), COMMENT, dtype=np.int32))
        self._keep(np.array(series, dtype=np.int32), np.array(values, dtype=np.float64))

    def _with_more_behind(self, line: bytes) -> tuple[int | None, bytes]:
        """A known series that is followed by a timestamp alone; whatever else follows is read strictly."""
        head, brace, rest = line.partition(b"} ") if b"{" in line else line.partition(b" ")
        words = rest.split()
        if len(words) != 2 or not words[1].lstrip(b"-").isdigit():
            return None, b""
        return self._known.get(head + brace.rstrip()), words[0]

    def _put_aside(self, line: bytes, key: bytes, at: int) -> None:
        if not line.strip():
            return
        if line[:1] == b"#":
            self._known[key] = COMMENT
            return
        self._new.append(line)
        self._new_at.append(at)
        self._new_bytes += len(line) + 64
        self._check_count(self._count + len(self._new))
        if self._new_bytes > FREE_BYTES + self._taken:
            self._exposition.room.take(FREE_BYTES)
            self._taken += FREE_BYTES

    def _keep(self, series: NDArray[np.int32], values: NDArray[np.float64]) -> None:
        self._count += len(series)
        self._check_count(self._count + len(self._new))
        self._series.append(series)
        self._values.append(values)

    def _check_count(self, count: int) -> None:
        if count > self._limits.series:
            raise BadExposition(f"more than {self._limits.series} series: nothing of this scrape was kept")

    def _read_new(self) -> None:
        """Strictly, and only now that the whole body is within its limits."""
        known, register = self._known, self._exposition.register
        series, values = array("i"), array("d")
        for at, text in zip(self._new_at, self._new, strict=True):
            try:
                line = read_line(text, self._limits)
            except (ValueError, BadExposition) as error:
                raise BadExposition(f"line {at}: {error}") from error
            if line is None:
                continue
            id = known.get(line.key)
            if id is None:
                id = known[line.key] = register(line.name, line.labels)
            series.append(id)
            values.append(line.value)
        self._new.clear()
        self._series.append(np.array(series, dtype=np.int32))
        self._values.append(np.array(values, dtype=np.float64))


def _floats(words: list[bytes]) -> NDArray[np.float64] | None:
    """None where a word is no number by itself."""
    if b"_" in b"".join(words):  # which Python allows between digits
        return None
    try:
        return np.array(list(map(float, words)), dtype=np.float64)
    except ValueError:
        return None
