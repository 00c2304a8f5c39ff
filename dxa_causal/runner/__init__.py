"""Run a study described in a ``study.toml``: every step once, finished steps kept."""

from dxa_causal.runner.run import RunResult, check, run
from dxa_causal.runner.study import Study, read_study
from dxa_causal.runner.two_files import run_mr

__all__ = ["RunResult", "Study", "check", "read_study", "run", "run_mr"]
