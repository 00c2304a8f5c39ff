"""The command ``dxa-causal``."""

from dxa_causal.cli.app import main

__all__ = ["main"]
