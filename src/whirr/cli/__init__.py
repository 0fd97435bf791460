"""The ``whirr`` command: one small module per subcommand, and what they share.

Data goes to stdout, talk to stderr. Exit codes: 0 done, 1 failed, 2 the command line cannot be
understood, 3 not found or ambiguous, 130 interrupted.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

import click

import whirr
from whirr.cli.screen import complain, emit
from whirr.errors import Ambiguous, NotFound, UsageError, WhirrError

DONE, FAILED, MISUSED, NOT_FOUND, INTERRUPTED = 0, 1, 2, 3, 130

COMMANDS = {
    "init": "Make a .whirr folder and its queue here.",
    "submit": "Queue a command.",
    "worker": "Run the jobs of the queue.",
    "status": "Show the queue, or all about one job.",
    "logs": "Print the output of a job.",
    "cancel": "Cancel queued jobs and stop running ones.",
    "retry": "Queue failed or cancelled jobs again.",
    "again": "Submit a job again, with changes.",
    "priority": "Give queued jobs another place in the order.",
    "watch": "Show the queue and keep it up to date.",
    "runs": "List runs, newest first.",
    "show": "Show one run: ending, config, summary, curves, files.",
    "note": "Show or write the notes on a run.",
    "tag": "Give a run tags, and take them off.",
    "dashboard": "Show runs and queue in the browser.",
    "sync": "Send runs of this machine to a server.",
    "server": "Give many machines one queue and one place for runs.",
    "token": "Make, list and revoke the tokens of a server.",
    "login": "Keep a token for a server.",
    "logout": "Forget the token for a server.",
    "backup": "Copy folder and queue while jobs run.",
    "restore": "Make a folder and its queue from a backup.",
    "doctor": "Check folder, queue, machine and workers.",
}
"""The subcommands and what each does; each is ``command`` in the module of its name, imported when it is needed."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"whirr.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 not found or ambiguous, 130 interrupted (Ctrl-C).",
)
@click.version_option(whirr.__version__, message="whirr %(version)s")
@click.pass_context
def program(context: click.Context) -> None:
    """Track machine-learning experiments and run them from a queue: plain files, nothing lost."""
    if context.invoked_subcommand is None:
        emit(context.get_help())


def main() -> None:
    """Run the command line of this process and exit."""
    # A command that lists and leaves has no use for a collector; a long-running one turns it on again.
    gc.disable()
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def _open_streams() -> None:
    """Open what the caller closed (``>&-``): the database would get its number, and then what is printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def run(arguments: list[str]) -> int:
    """Run one command line and give its exit code; what goes wrong is said on stderr."""
    try:
        result = program.main(arguments, prog_name="whirr", standalone_mode=False)
        return result if isinstance(result, int) else DONE
    except WhirrError as error:
        complain(str(error), error.hint)
        return _code(error)
    except click.ClickException as error:
        return _misused(error)
    except (KeyboardInterrupt, click.Abort):
        complain("interrupted")
        return INTERRUPTED


def _code(error: WhirrError) -> int:
    if isinstance(error, UsageError):
        return MISUSED
    return NOT_FOUND if isinstance(error, NotFound | Ambiguous) else FAILED


def _misused(error: click.ClickException) -> int:
    """Say what the parser of the command line did not understand."""
    text = error.format_message().replace("\n\t", " ").rstrip(".")
    text = text.replace(" is not a valid integer range", " is not a whole number")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "whirr"
    complain(text[:1].lower() + text[1:], f"see {path} --help")
    return error.exit_code
