"""UCSC chain files: which stretch of one genome build lies where in another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal.genotypes.builds import chromosome_name
from dxa_causal.mr.reading.blocks import read_blocks
from dxa_causal.mr.reading.builds import by_length

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


class Stretches(NamedTuple):
    """Ungapped stretches of one chromosome of the old build, sorted, without overlap.

    The new place of position p (from 1) is shift + p, or shift - p where the strand turns.
    """

    start: IntArray  # from 1
    end: IntArray  # first position behind
    shift: IntArray
    turned: BoolArray
    chromosome: IntArray  # of the new build, position in `Chain.chromosomes`
    several: BoolArray  # whether a chain of lower score covers it too


class Chain(NamedTuple):
    """A chain file: stretches by chromosome of the old build, chromosomes of the new one, and both builds."""

    stretches: dict[str, Stretches]
    chromosomes: tuple[str, ...]
    old_build: str | None
    new_build: str | None


class Lifted(NamedTuple):
    """New places of positions of one chromosome; position 0 and chromosome -1 where there is none."""

    position: IntArray
    chromosome: IntArray
    turned: BoolArray
    several: BoolArray


def lift(stretches: Stretches | None, position: IntArray) -> Lifted:
    """Find the new places of positions (from 1) of one chromosome; None is a chromosome that the file lacks.

    Examples
    --------
    >>> one = np.array([True]), np.array([False])
    >>> s = Stretches(np.array([11]), np.array([21]), np.array([130]), one[0], np.array([0]), one[1])
    >>> lift(s, np.array([10, 11, 20, 21])).position.tolist()
    [0, 119, 110, 0]
    """
    if stretches is None:
        nowhere = np.zeros(position.size, dtype=bool)
        return Lifted(np.zeros_like(position), np.full_like(position, -1), nowhere, nowhere)
    at = np.searchsorted(stretches.start, position, side="right") - 1
    inside = (at >= 0) & (position < stretches.end[at])
    turned = inside & stretches.turned[at]
    return Lifted(
        np.where(inside, stretches.shift[at] + np.where(turned, -position, position), 0),
        np.where(inside, stretches.chromosome[at], -1),
        turned,
        inside & stretches.several[at],
    )


def read_chain(path: Path) -> Chain:
    """Read a chain file, plain or compressed; a chain of higher score goes first where two cover one place."""
    blocks: dict[str, list[tuple[int, int, int, bool, int, float]]] = {}
    names: dict[str, int] = {}
    builds: dict[str, set[str]] = {"old": set(), "new": set()}
    for line, head, sizes in _chains(path):
        try:
            _, score, old, old_size, old_strand, old_start, old_end, new, new_size, strand, new_start, new_end = head[
                :12
            ]
            t, q, lengths = int(old_start), int(new_start), {"old": int(old_size), "new": int(new_size)}
            if old_strand != "+" or strand not in ("+", "-"):
                raise ValueError(f"strands {old_strand!r} and {strand!r}")
            target = names.setdefault(chromosome_name(new), len(names))
            mine = blocks.setdefault(chromosome_name(old), [])
            for length, *gaps in sizes:
                shift = lengths["new"] - q + t + 1 if strand == "-" else q - t
                mine.append((t + 1, t + 1 + length, shift, strand == "-", target, float(score)))
                t, q = (x + length + gap for x, gap in zip((t, q), gaps or (0, 0), strict=True))
            if (t, q) != (int(old_end), int(new_end)):
                raise ValueError(f"blocks end at {t} and {q}, the header says {old_end} and {new_end}")
        except ValueError as error:
            raise SummaryStatisticsError(f"{path.name}, chain in line {line}: {error}") from None
        for which, name in (("old", old), ("new", new)):
            if chromosome_name(name) == "1" and (build := by_length(lengths[which])):
                builds[which].add(build)
    if not blocks:
        raise SummaryStatisticsError(
            f"{path.name} holds no chains; a UCSC chain file, as hg19ToHg38.over.chain.gz, does"
        )
    found = {which: next(iter(b)) if len(b) == 1 else None for which, b in builds.items()}
    stretches = {name: _without_overlap(np.array(rows, dtype=np.float64)) for name, rows in blocks.items()}
    return Chain(stretches, tuple(names), found["old"], found["new"])


def _chains(path: Path) -> Iterator[tuple[int, list[str], list[tuple[int, ...]]]]:
    """Line of its header, header, and blocks (size, gap in old, gap in new) of each chain."""
    head: list[str] | None = None
    sizes: list[tuple[int, ...]] = []
    start = 0
    for block in read_blocks(path):
        for i, text in enumerate(block.text.decode(errors="replace").split("\n")[:-1], start=block.line):
            words = text.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] == "chain":
                if head is not None:
                    yield start, head, sizes
                if len(words) < 12:
                    raise SummaryStatisticsError(
                        f"{path.name}, line {i}: a chain header has 12 words, this {len(words)}"
                    )
                head, sizes, start = words, [], i
            elif head is None or len(words) not in (1, 3) or not all(w.isdigit() for w in words):
                raise SummaryStatisticsError(f"{path.name}, line {i}: {text[:60]!r} is no line of a chain file")
            else:
                sizes.append(tuple(int(w) for w in words))
    if head is not None:
        yield start, head, sizes


def _without_overlap(rows: npt.NDArray[np.float64]) -> Stretches:
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    whole = rows[:, :5].astype(np.int64)
    start, end, block = whole[:, 0], whole[:, 1], np.arange(len(rows))
    several = np.zeros(block.size, dtype=bool)
    if (start[1:] < end[:-1]).any():
        cuts = np.unique(whole[:, :2])
        owner, covered = np.full(cuts.size - 1, -1), np.zeros(cuts.size - 1, dtype=np.int64)
        for i in np.argsort(rows[:, 5], kind="stable"):
            piece = slice(*np.searchsorted(cuts, whole[i, :2]))
            owner[piece] = i
            covered[piece] += 1
        there = owner >= 0
        start, end, block, several = cuts[:-1][there], cuts[1:][there], owner[there], covered[there] > 1
    return Stretches(start, end, whole[block, 2], whole[block, 3].astype(bool), whole[block, 4], several)
