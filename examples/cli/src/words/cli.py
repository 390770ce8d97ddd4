"""The command line."""

from typing import TextIO

import click


@click.command()
@click.argument("file", type=click.File(), default="-")
@click.option("--lines", is_flag=True, help="Count lines instead.")
def main(file: TextIO, *, lines: bool) -> None:
    """Count the words in FILE, or in the standard input."""
    text = file.read()
    click.echo(len(text.splitlines() if lines else text.split()))
