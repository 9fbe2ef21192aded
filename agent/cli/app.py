"""The command tree: names and options only. What a command does is in a module that it imports when it runs.

`typer` is asked for nothing fancy (no rich markup, no pretty tracebacks): that is what keeps `--help` at a
tenth of a second.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from agent.cli.complaint import COULD_NOT, Complaint

INTERRUPTED = 130
DUCKDB_INTERRUPTED = "Query interrupted"
"""What DuckDB makes of Ctrl-C while it answers: a RuntimeError instead of KeyboardInterrupt."""

app = typer.Typer(
    name="streampilot",
    help="Diagnostics copilot for Kafka-compatible streaming, with a cloud-native broker in the box.",
    invoke_without_command=True,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.callback()
def _whole(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    if version:
        from importlib.metadata import version as of

        sys.stdout.write(f"streampilot {of('streampilot')}\n")
        raise typer.Exit


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code; what went wrong is one line on stderr."""
    from agent.cli import announce, ask, cluster, cost, forward, look, pages, plans

    if sys.stdout is None:  # closed by the shell, `>&-`: what nobody wants to read goes nowhere
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115

    for module in (cluster, forward, look, plans, ask, cost, announce, pages):
        module.register(app)
    try:
        outcome = app(args=list(arguments), prog_name="streampilot", standalone_mode=False)
    except Complaint as complaint:
        sys.stderr.write(complaint.line() + "\n")
        return complaint.code
    except BrokenPipeError:
        return _quiet_pipe()
    except KeyboardInterrupt:
        return _interrupted()
    except OSError as error:
        sys.stderr.write(_machine(error).line() + "\n")
        return COULD_NOT
    except Exception as error:
        return _interrupted() if str(error) == DUCKDB_INTERRUPTED else _usage(error)
    if outcome == INTERRUPTED:  # typer has caught Ctrl-C itself
        return _interrupted()
    return outcome if isinstance(outcome, int) else 0


def _interrupted() -> int:
    sys.stderr.write("streampilot: interrupted\n")
    return INTERRUPTED


def _usage(error: Exception) -> int:
    """typer's own usage errors carry `format_message`; anything else is a bug, and is raised as one."""
    message = getattr(error, "format_message", None)
    if message is None:
        if type(error).__name__ in {"Exit", "Abort"}:
            return int(getattr(error, "exit_code", COULD_NOT))
        raise error
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stdout.write(message() + "\n")
        return COULD_NOT
    context = getattr(error, "ctx", None)
    asked = context.command_path if context else "streampilot"
    sys.stderr.write(Complaint(message().rstrip("."), f"see {asked} --help").line() + "\n")
    return COULD_NOT


def _quiet_pipe() -> int:
    """The reader of stdout left (`| head`): say nothing more, and let the interpreter's last flush go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _machine(error: OSError) -> Complaint:
    """What the operating system refused: a full disk, a missing right, a port, by name."""
    name = f" {error.filename}" if error.filename else ""
    steps = {
        errno.ENOSPC: "free space or choose another --dir",
        errno.EACCES: "check its owner and mode",
        errno.EROFS: "choose a writable --dir",
        errno.EADDRINUSE: "choose another port",
    }
    return Complaint(f"{error.strerror or error}{name}", steps.get(error.errno or 0, "see the message above"))
