"""Parallel order, random streams, kernels, warnings."""

import logging
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from dxa_causal._core import rng
from dxa_causal._core.parallel import parallel_map
from dxa_causal._core.warnings import SeparationWarning, warn


def square(x):
    return x * x


@pytest.mark.parametrize("n_jobs", [None, 1, 2])
def test_results_come_in_the_order_of_the_input(n_jobs):
    assert list(parallel_map(square, range(20), n_jobs=n_jobs)) == [i * i for i in range(20)]


def test_streams_do_not_depend_on_how_many_are_asked_for():
    assert rng.spawn(3, 2)[1].random() == rng.spawn(3, 9)[1].random()
    generator = np.random.default_rng(1)
    assert rng.generator(generator) is generator


def test_a_warning_points_at_the_caller():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn("few", SeparationWarning)
    assert caught[0].filename == __file__


def test_kernels_work_without_a_place_for_their_cache(tmp_path):
    """Numba then compiles in each process, and one warning says so."""
    code = (
        "import warnings; warnings.simplefilter('always')\n"
        "import numba.core.caching as c\n"
        "c.CacheImpl._locator_classes = []\n"
        "from dxa_causal._core import jit\n"
        "@jit.kernel\n"
        "def double(x):\n"
        "    return 2.0 * x\n"
        "@jit.kernel\n"
        "def triple(x):\n"
        "    return 3.0 * x\n"
        "print(double(2.0), triple(2.0))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.split() == ["4.0", "6.0"]
    assert done.stderr.count("KernelCacheWarning") == 1


def test_the_package_does_not_configure_logging():
    assert not logging.getLogger("dxa_causal").handlers
