"""The command line: arguments in, exit status out.

Exit status: 0 for success, 1 if the server cannot start or the client cannot connect,
2 for wrong usage; ``sansocket connect --help`` lists the others of the client.
"""

from __future__ import annotations

import argparse
import sys

from .._native.kernels import COMPILED
from ..version import version
from . import connecting, serving
from .log import set_up_logging
from .values import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    set_up_logging(options.verbose)
    try:
        status: int = options.run(options)
    except KeyboardInterrupt:  # where the event loop cannot handle signals
        return 130
    except CommandError as exc:
        print(f"{parser.prog}: error: {exc}", file=sys.stderr)
        return 1
    return status


def build_parser() -> argparse.ArgumentParser:
    """Describe the commands."""
    parser = argparse.ArgumentParser(
        prog="sansocket", description="Run a WebSocket server, or connect to one."
    )
    form = "compiled" if COMPILED else "interpreted"
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {version} ({form})"
    )
    commands = parser.add_subparsers(metavar="command", required=True)
    for command in (serving.add_command(commands), connecting.add_command(commands)):
        command.add_argument(
            "-v",
            "--verbose",
            action="count",
            default=0,
            help="log connections; give it twice to log frames as well",
        )
    return parser
