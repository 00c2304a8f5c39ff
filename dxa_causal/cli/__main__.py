"""``python -m dxa_causal.cli``: the command without its script."""

from dxa_causal.cli.app import main

main()
