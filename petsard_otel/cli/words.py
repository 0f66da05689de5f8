"""What all commands' arguments share: the program's name, exit codes, the parser itself."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn, TypeAlias

if TYPE_CHECKING:
    Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001  argparse has no other

PROGRAM = "petsard-otel"

EXIT_CODES = """\
exit codes:
  0    the command did what it was asked to
  1    a module of the pipeline failed, or the output could not be written
  2    bad configuration, or bad usage
  130  interrupted by Ctrl-C
"""


class Parser(argparse.ArgumentParser):
    """Complains of arguments without the passwords that may be in them."""

    def error(self, message: str) -> NoReturn:
        """Complain, and end the process."""
        from petsard_otel.telemetry.sending.targets import without_password

        words = [without_password(word) if "://" in word else word for word in message.split(" ")]
        super().error(" ".join(words))


def add(commands: Commands, name: str, help: str, description: str, epilog: str) -> Parser:
    """Add a command, and return the parser of its arguments."""
    return commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_protocol(parser: Parser) -> None:
    """Add the option that says how to send."""
    parser.add_argument(
        "--protocol",
        choices=("grpc", "http/protobuf"),
        help="how to send (default: http/protobuf for port 4318, else grpc)",
    )
