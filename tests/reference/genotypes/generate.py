"""Make expected.json with plink 1.9.

    python tests/reference/genotypes/generate.py FOLDER

FOLDER holds gwasvcf/ (eur.bed, eur.bim, eur.fam, data.vcf.gz of the R package gwasvcf, MIT; the panel is copied here)
and rsparsepro_panel/. No random numbers: the p-value of the k-th variant (from 0) of a panel is 10^-(10 u) with
u = fractional part of 0.6180339887 (k + 1), to three digits, or to one digit for the setting with ties.
"""

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SETTINGS = [  # r2, kb, p1, p2, digits of p
    (0.001, 10_000, 5e-8, 5e-8, 3),
    (0.1, 250, 1e-4, 1e-2, 3),
    (0.5, 250, 1e-4, 1e-2, 3),
    (0.2, 20, 0.01, 0.05, 3),
    (0.8, 3, 1.0, 1.0, 3),
    (0.01, 1, 0.5, 1.0, 3),
    (0.1, 100, 1e-2, 1e-2, 1),
]
PANELS = {"gwasvcf": "gwasvcf/eur", "rsparsepro": "rsparsepro_panel/EUR_1_25268937_26268937"}


def made_up(n: int, digits: int) -> list[str]:
    return [f"{10 ** (-10 * (0.6180339887 * (k + 1) % 1)):.{digits}g}" for k in range(n)]


def plink(prefix: Path, out: Path, *options: object) -> str:
    command = ["plink1.9", "--bfile", str(prefix), "--keep-allele-order", "--out", str(out), *map(str, options)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def clumped(path: Path) -> dict[str, list[str]]:
    lines = [line.split() for line in path.read_text().splitlines()[1:] if line.strip()]
    return {row[2]: [] if row[11] == "NONE" else [name[:-3] for name in row[11].split(",")] for row in lines}


def clump(prefix: Path, out: Path, names: list[str], p: list[str], r2: float, kb: float, p1: float, p2: float) -> dict:
    table = out.with_suffix(".p")
    table.write_text("SNP P\n" + "".join(f"{a} {b}\n" for a, b in zip(names, p, strict=True)))
    options = ("--clump-p1", p1, "--clump-p2", p2, "--clump-r2", r2, "--clump-kb", kb)
    plink(prefix, out, "--clump", table, *options)
    return {"r2": r2, "kb": kb, "p1": p1, "p2": p2, "clumps": clumped(out.with_suffix(".clumped"))}


def pairs(prefix: Path, out: Path, names: list[str]) -> list[list]:
    """Every solution that plink finds; where there are several, clumping takes the likeliest."""
    found = []
    for first, second in zip(names[::60], names[7::60], strict=False):
        lines = plink(prefix, out, "--ld", first, second).splitlines()
        found.append([first, second, [float(line.split()[2]) for line in lines if "R-sq" in line]])
    return found


def in_phase(prefix: Path, out: Path, target: str) -> list[list]:
    options = ("--ld-snp", target, "--ld-window-kb", 250, "--ld-window", 99_999, "--ld-window-r2", 0.8)
    plink(prefix, out, "--r2", "in-phase", *options)
    rows = [line.split() for line in out.with_suffix(".ld").read_text().splitlines()[1:]]
    return [[row[5], float(row[7]), row[6]] for row in rows if row[5] != target]


def of_panel(prefix: Path, out: Path) -> dict:
    bim = [line.split() for line in prefix.with_suffix(".bim").read_text().splitlines()]
    names = [row[1] for row in bim]
    some = names[5::45][:40]
    listed = out.with_suffix(".names")
    listed.write_text("\n".join(some))
    plink(prefix, out, "--extract", listed, "--r", "square", "bin")
    r = np.fromfile(out.with_suffix(".ld.bin")).reshape(len(some), len(some))
    plink(prefix, out, "--freqx")
    counts = [line.split("\t") for line in out.with_suffix(".frqx").read_text().splitlines()[1:]]
    result = {
        "plink": subprocess.run(["plink1.9", "--version"], capture_output=True, text=True, check=True).stdout.strip(),
        "r": {"variants": some, "matrix": [[float(f"{v:.12g}") for v in row] for row in r]},
        "counts": [[int(v) for v in (row[4], row[5], row[6], row[9])] for row in counts[::20]],
        "haplotype_r2": pairs(prefix, out, names),
        "proxies": {names[k]: in_phase(prefix, out, names[k]) for k in (400, 900, 1500)},
        "clump": [],
    }
    for r2, kb, p1, p2, digits in SETTINGS:
        case = clump(prefix, out, names, made_up(len(names), digits), r2, kb, p1, p2)
        result["clump"].append({"digits": digits, **case})
    return result


def of_vcf(path: Path, prefix: Path, out: Path) -> dict:
    """The p-values of the package's GWAS, small enough to stand here."""
    rows = []
    with gzip.open(path, "rt") as file:
        for line in file:
            if line.startswith("#"):
                continue
            field = line.rstrip("\n").split("\t")
            value = dict(zip(field[8].split(":"), field[9].split(":"), strict=True))
            rows.append([value["ID"], field[0], int(field[1]), field[4], field[3], float(value["LP"])])
    rows = [row for row in rows if row[5] >= 0]
    case = clump(prefix, out, [r[0] for r in rows], [f"{10 ** -r[5]:.17g}" for r in rows], 0.1, 250, 0.5, 0.5)
    return {"columns": ["variant", "chromosome", "position", "effect_allele", "other_allele", "neg_log10_p"],
            "rows": rows, **case}  # fmt: skip


if __name__ == "__main__":
    source = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        expected = {name: of_panel(source / prefix, out) for name, prefix in PANELS.items()}
        expected["vcf"] = of_vcf(source / "gwasvcf" / "data.vcf.gz", source / PANELS["gwasvcf"], out)
    (HERE / "expected.json").write_text(json.dumps(expected, indent=None, separators=(",", ":")) + "\n")
