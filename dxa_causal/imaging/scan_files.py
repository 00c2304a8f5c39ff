"""Which files make up one scan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dxa_causal._core.errors import ImageError

SUFFIXES = (".tif", ".tiff", ".png", ".dcm", ".nii", ".nii.gz")
NEEDS_SIDECAR = (".tif", ".tiff", ".png")  # these formats cannot say what measuring needs
SIDECAR = "meta.json"


@dataclass(frozen=True, slots=True)
class ScanFiles:
    """The files of a scan: `high` is None when one file holds both energies, `unordered` when names do not tell."""

    low: Path
    high: Path | None
    sidecar: Path | None
    unordered: bool = False


def find(path: Path, high: Path | None = None, sidecar: Path | None = None) -> ScanFiles:
    """The files of the scan at `path`, a folder or a file.

    Raises
    ------
    ImageError
        A file is missing, or the folder holds no scan or more than one.
    """
    if path.is_dir():
        found = _in_folder(path)
    elif not path.exists():
        raise ImageError(f"{path}: there is no such folder or file")
    else:
        if path.name.lower().endswith(NEEDS_SIDECAR) and (high is None or sidecar is None):
            raise ImageError(
                f"{path} is a file of one energy: give high= and sidecar= as well, or the folder that holds all three "
                "(imaging.read_radiograph reads a single image for display)"
            )
        beside = path.with_name(_stem(path) + ".json")
        found = ScanFiles(path, high, sidecar or (beside if beside.is_file() else None))
    for file in (found.low, found.high, found.sidecar):
        if file is not None and not file.is_file():
            suffix = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if found.low.name.endswith(s)), "")
            raise ImageError(f"{file} is missing; a scan is low{suffix}, high{suffix} and {SIDECAR}")
    return found


def files_of(path: Path) -> list[Path]:
    """Every file that may take part in the scan at `path`, for fingerprints; empty when there is none."""
    if path.is_dir():
        return sorted(p for p in path.glob("*") if p.is_file())
    return [p for p in (path, path.with_name(_stem(path) + ".json")) if p.is_file()]


def _in_folder(folder: Path) -> ScanFiles:
    meta = folder / SIDECAR
    given = {stem: [s for s in SUFFIXES if (folder / f"{stem}{s}").is_file()] for stem in ("low", "high", "scan")}
    several = [f"{stem}{s}" for stem, suffixes in given.items() if len(suffixes) > 1 for s in suffixes]
    if several or (given["scan"] and (given["low"] or given["high"])):
        names = several or [f"{stem}{s}" for stem, suffixes in given.items() for s in suffixes]
        raise ImageError(f"{folder} holds more than one scan ({', '.join(names)}); one folder is one scan")
    if given["scan"]:
        file = folder / f"scan{given['scan'][0]}"
        return ScanFiles(file, None, meta if meta.is_file() or file.name.endswith(NEEDS_SIDECAR) else None)
    if given["low"] or given["high"]:
        suffix = (given["low"] or given["high"])[0]
        low, high = (folder / f"{stem}{(given[stem] or [suffix])[0]}" for stem in ("low", "high"))
        return ScanFiles(low, high, meta if meta.is_file() or suffix in NEEDS_SIDECAR else None)
    loose = sorted(p for p in folder.glob("*") if p.suffix.lower() == ".dcm")
    if len(loose) == 2:
        return ScanFiles(loose[0], loose[1], meta if meta.is_file() else None, unordered=True)
    raise ImageError(
        f"{folder} holds no scan; a scan is low.tif, high.tif and {SIDECAR} (or .png), low.dcm and high.dcm, "
        "low.nii.gz and high.nii.gz, or scan.dcm or scan.nii.gz with both energies"
    )


def _stem(path: Path) -> str:
    name = path.name
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return path.stem
