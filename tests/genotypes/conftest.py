from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dxa_causal import genotypes

REFERENCE = Path(__file__).parents[1] / "reference" / "genotypes"
CODE = np.array([3, 2, 0, 1], dtype=np.uint8)  # by number of copies of allele 1; 3 stands for missing


def write(prefix, copies, *, names=None, chromosome=None, position=None, alleles=None, fam=None, tab="\t"):
    """Files of a panel; copies: (people, variants), nan for missing."""
    n, m = copies.shape
    codes = CODE[np.where(np.isnan(copies), 3, copies).astype(int)].T
    quads = np.zeros((m, -(-n // 4) * 4), dtype=np.uint8)
    quads[:, :n] = codes
    rows = (quads.reshape(m, -1, 4) << np.array([0, 2, 4, 6], dtype=np.uint8)).sum(axis=2, dtype=np.uint8)
    Path(f"{prefix}.bed").write_bytes(bytes([0x6C, 0x1B, 1]) + rows.tobytes())
    names = [f"rs{k}" for k in range(m)] if names is None else names
    chromosome = [1] * m if chromosome is None else chromosome
    position = [1000 * (k + 1) for k in range(m)] if position is None else position
    alleles = [("A", "G")] * m if alleles is None else alleles
    lines = [
        tab.join(map(str, (c, v, 0, p, *a))) for c, v, p, a in zip(chromosome, names, position, alleles, strict=True)
    ]
    Path(f"{prefix}.bim").write_text("\n".join(lines) + "\n")
    fam = [f"f{k} i{k} 0 0 0 -9" for k in range(n)] if fam is None else fam
    Path(f"{prefix}.fam").write_text("\n".join(fam) + "\n")
    return prefix


@pytest.fixture
def panel_of(tmp_path) -> Callable[..., genotypes.Panel]:
    """Write a panel and open it."""

    def make(copies, *, name="panel", build=None, **options):
        return genotypes.read_panel(write(tmp_path / name, np.asarray(copies, dtype=float), **options), build=build)

    return make


@pytest.fixture(scope="session")
def plink() -> dict:
    return json.loads((REFERENCE / "expected.json").read_text())


@pytest.fixture(scope="session")
def panels() -> Callable[[str], genotypes.Panel]:
    """The panel that ships, and one that does not."""

    def read(name):
        if name == "gwasvcf":
            return genotypes.read_panel(REFERENCE / "eur", build="GRCh37")
        folder = os.environ.get("DXA_CAUSAL_MR2_DATA")
        if not folder:
            pytest.skip("this panel does not ship; set DXA_CAUSAL_MR2_DATA to a folder that holds it")
        return genotypes.read_panel(Path(folder) / "rsparsepro_panel" / "EUR_1_25268937_26268937")

    return read


@pytest.fixture(scope="session")
def drawn() -> Callable[..., np.ndarray]:
    """Genotypes in blocks of linkage disequilibrium, some missing: (people, variants)."""

    def draw(n, m, *, seed=1, missing=0.05, block=6):
        rng = np.random.default_rng(seed)
        copies = np.zeros((n, m))
        for _ in range(2):
            which = rng.integers(0, 4, n)
            for start in range(0, m, block):
                which = np.where(rng.random(n) < 0.3, rng.integers(0, 4, n), which)
                template = np.random.default_rng([seed, start]).random((4, block)).argsort(axis=0) < 2
                copies[:, start : start + block] += template[which][:, : m - start]
        flip = rng.random(copies.shape) < 0.05
        copies = np.where(flip, rng.integers(0, 3, copies.shape), copies)
        copies[rng.random(copies.shape) < missing] = np.nan
        return copies

    return draw
