"""Runs."""

import click

click.echo("odd")
