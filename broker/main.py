"""`python -m broker.main`, and `streampilot broker`: runs one broker until SIGTERM.

When it serves, one JSON line goes to stdout: {"id", "pid", "kafka", "http", "zone"}; narration goes to stderr. An
end in good order is exit 0; 1 is a fault, 2 a mistake in the flags: one line each that says what to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from broker.clock import SystemClock
from broker.flags import Config, parse
from broker.lifetime import parent_gone, stop_on_signals
from broker.node import Node
from broker.rubbish import Rubbish
from broker.spare_pages import find_trim, give_back

SWITCH_S = 0.001
"""How long a thread (metadata, compaction's bookkeeping, imports) may keep the interpreter from the loop; Python's own
5 ms, twice or thrice in a row, would be most of the 20 ms of law 14."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the broker that the flags describe; the exit code."""
    parent = os.getppid()
    config = parse(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format=f"broker {config.id}: %(message)s")
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(run(config, parent))
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        print(f"broker {config.id}: {_line(error)}", file=sys.stderr)
        return 1


async def run(config: Config, parent: int) -> int:
    """From start to a good end, or to a fault that leaves none. `parent` is the process that started this one."""
    Rubbish().begin()
    clock = SystemClock()
    asyncio.get_running_loop().set_exception_handler(_tell)
    stop = asyncio.Event()
    stop_on_signals(stop)
    node = Node(config, clock)
    address = await node.start()
    sys.setswitchinterval(SWITCH_S)
    giving = asyncio.create_task(give_back(clock, find_trim()))
    ready = {
        "id": config.id,
        "pid": os.getpid(),
        "kafka": address.kafka,
        "http": address.http,
        "zone": config.zone,
    }
    print(json.dumps(ready), flush=True)
    fault = await _until_the_end(node, stop, clock, parent if config.exit_with_parent else None)
    giving.cancel()
    if fault is not None:
        text = _line(fault)
        node.say(text if "start it again" in text else f"{text}; stopped: start it again, and it rejoins")
    await node.stop()
    return 0 if fault is None else 1


async def _until_the_end(node: Node, stop: asyncio.Event, clock: SystemClock, parent: int | None) -> Exception | None:
    """Waits for a signal, the parent's end, or a fault, which is returned."""
    failed = asyncio.ensure_future(node.failed())
    ends: list[asyncio.Future[Any]] = [failed, asyncio.ensure_future(stop.wait())]
    if parent is not None:
        ends.append(asyncio.ensure_future(parent_gone(clock, parent)))
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    fault = failed.result() if failed.done() else None
    for end in ends:
        end.cancel()
    await asyncio.gather(*ends, return_exceptions=True)
    return fault


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop where it exists: it is cheaper per small request."""
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.Loop
    return None


def _tell(_: asyncio.AbstractEventLoop, about: dict[str, Any]) -> None:
    """What nobody caught, in one line: a fault of ours that ended one callback and nothing else."""
    error = about.get("exception")
    text = f"{type(error).__name__}: {_line(error)}" if error is not None else ""
    logging.getLogger(__name__).error("%s %s", about.get("message", ""), text)


def _line(error: BaseException) -> str:
    """An error as one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:500]


if __name__ == "__main__":
    sys.exit(main())
