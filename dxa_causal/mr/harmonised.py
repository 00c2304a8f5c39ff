"""Two GWAS files on one coding, with the account of every variant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from dxa_causal._core.errors import SummaryStatisticsError, shown
from dxa_causal.genotypes.linkage import align_correlation, check_correlation, refuse_indefinite
from dxa_causal.mr.audit import FATE, REASONS, Account, Flag
from dxa_causal.results import Summary, read_only

FloatArray = npt.NDArray[np.float64]

TABLE_COLUMNS = (
    "variant", "effect_allele", "other_allele", "chromosome", "position",
    "beta_exposure", "se_exposure", "eaf_exposure", "p_exposure", "n_exposure",
    "beta_outcome", "se_outcome", "eaf_outcome", "p_outcome", "n_outcome",
    "palindromic", "ambiguous",
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Harmonised:
    """Effects of the same alleles on exposure and outcome, ready for :func:`dxa_causal.mr.estimate`.

    Made by :func:`dxa_causal.mr.harmonise` or, from numbers that are already
    aligned, by :meth:`from_arrays`.

    Attributes
    ----------
    table : DataFrame
        Variants kept, in the order of the exposure file: variant,
        effect_allele, other_allele, chromosome and position (those of the
        exposure, where known), then beta, se, eaf, p, n of exposure and
        outcome (``beta_exposure`` ...), palindromic, ambiguous.
    account : Account
        What `audit` is made of, in a few bytes a variant.
    counts : mapping of str to int
        ``n_exposure = n_both + not_in_outcome + exposure_without_id`` (the
        same for the outcome), ``n_both = n_kept + n_dropped``, and the reasons
        add up: ``dropped_*`` to ``n_dropped``, ``kept_*`` to ``n_kept``.
    exposure, outcome : str
        Names of the traits.
    ld : (n, n) ndarray or None
        Correlation of the variants' alleles.
    """

    table: pd.DataFrame
    account: Account
    counts: Mapping[str, int]
    exposure: str = "exposure"
    outcome: str = "outcome"
    ld: FloatArray | None = None

    @classmethod
    def from_arrays(
        cls,
        *,
        beta_exposure: npt.ArrayLike,
        se_exposure: npt.ArrayLike,
        beta_outcome: npt.ArrayLike,
        se_outcome: npt.ArrayLike,
        variant: Any = None,
        ld: npt.ArrayLike | None = None,
        n_exposure: npt.ArrayLike | None = None,
        n_outcome: npt.ArrayLike | None = None,
        exposure: str = "exposure",
        outcome: str = "outcome",
    ) -> Harmonised:
        """Take effects that already belong to the same alleles.

        Parameters
        ----------
        beta_exposure, se_exposure, beta_outcome, se_outcome : (n,) array_like
            Finite; standard errors positive.
        variant : (n,) array_like of str, optional
            Distinct names; ``variant_1`` ... when omitted.
        ld : (n, n) array_like, optional
            Correlation of the variants (1 on the diagonal), with the signs of
            the effect alleles. Kept for methods that use it; those that do
            not refuse correlated variants rather than ignore it.
        n_exposure, n_outcome : float or (n,) array_like, optional
            Sample sizes.
        exposure, outcome : str
            Names of the traits.

        Raises
        ------
        SummaryStatisticsError
            Lengths differ or a value is not possible; the position is named.

        Examples
        --------
        >>> h = Harmonised.from_arrays(
        ...     beta_exposure=[0.1, 0.2], se_exposure=[0.01, 0.01], beta_outcome=[0.05, 0.11], se_outcome=[0.02, 0.02]
        ... )
        >>> h.n_variants
        2
        """
        beta = vector("beta_exposure", beta_exposure)
        size = beta.size
        columns: dict[str, Any] = {name: np.full(size, np.nan) for name in TABLE_COLUMNS}
        columns["variant"] = variant_names(variant, size)
        columns["effect_allele"] = columns["other_allele"] = columns["chromosome"] = np.full(size, None, dtype=object)
        columns["palindromic"] = columns["ambiguous"] = np.zeros(size, dtype=bool)
        columns["beta_exposure"] = beta
        columns["se_exposure"] = vector("se_exposure", se_exposure, size=size, positive=True)
        columns["beta_outcome"] = vector("beta_outcome", beta_outcome, size=size)
        columns["se_outcome"] = vector("se_outcome", se_outcome, size=size, positive=True)
        for name, value in (("n_exposure", n_exposure), ("n_outcome", n_outcome)):
            if value is not None:
                full = np.full(size, value) if np.ndim(value) == 0 else value
                columns[name] = vector(name, full, size=size, positive=True)
        account = Account(
            pl.Series(columns["variant"], dtype=pl.String),
            pl.Series([], dtype=pl.String),
            np.full(size, FATE["kept_as_given"], dtype=np.int8),
            np.ones(size, dtype=bool),
            np.full(size, Flag.ALIGNED.value, dtype=np.uint8),
        )
        counts = {"n_exposure": size, "n_outcome": size, "n_both": size, "n_kept": size, "n_dropped": 0}
        return cls(
            table=pd.DataFrame(columns),
            account=account,
            counts=MappingProxyType({**counts, "kept_aligned": size}),
            exposure=exposure,
            outcome=outcome,
            ld=None if ld is None else read_only(refuse_indefinite(check_correlation(ld, size))),
        )

    def with_ld(
        self, matrix: Any, *, variants: Any = None, effect_alleles: Any = None, ridge: float = 0.0
    ) -> Harmonised:
        r"""Add the correlations between the variants, in the order and the coding of this table.

        Parameters
        ----------
        matrix : (m, m) array_like or DataFrame
            Signed correlations (r, not r squared) of a reference panel; may
            hold more variants than the table.
        variants : (m,) array_like of str, optional
            Names of its rows; needed unless the frame carries them.
        effect_alleles : (m,) array_like of str, optional
            The allele that the panel counts. Rows and columns of variants
            whose effect allele here is the other one change sign, on either
            strand (palindromic variants are taken to be on the same strand).
            When omitted the panel has to count the effect alleles of `table`.
        ridge : float
            Use :math:`(R + ridge\, I) / (1 + ridge)`: for a matrix that is
            not positive definite, as panels of few people give.

        Returns
        -------
        Harmonised
            A copy with `ld`.

        Raises
        ------
        SummaryStatisticsError
            A variant is not in the matrix, alleles match on no strand, or the
            matrix is not positive definite.

        Examples
        --------
        >>> h = Harmonised.from_arrays(
        ...     beta_exposure=[0.1, 0.2], se_exposure=[0.01, 0.01], beta_outcome=[0.05, 0.11], se_outcome=[0.02, 0.02],
        ...     variant=["rs1", "rs2"],
        ... )
        >>> panel = [[1.0, 0.1, 0.3], [0.1, 1.0, 0.2], [0.3, 0.2, 1.0]]
        >>> h.with_ld(panel, variants=["rs2", "rs9", "rs1"]).ld.tolist()
        [[1.0, 0.3], [0.3, 1.0]]
        """
        return replace(self, ld=read_only(align_correlation(matrix, variants, effect_alleles, self.table, ridge=ridge)))

    @cached_property
    def audit(self) -> pd.DataFrame:
        """One row per row of either file, made when it is first asked for.

        variant, in_exposure, in_outcome, status ("kept" or "dropped"),
        aligned, swapped, strand_flipped, palindromic, ambiguous, and the
        reason in words.
        """
        return self.account.frame()

    @property
    def n_variants(self) -> int:
        """Variants kept."""
        return len(self.table)

    @property
    def correlated(self) -> bool:
        """Whether `ld` was given and is not zero off the diagonal."""
        return self.ld is not None and bool(np.any(self.ld != np.eye(self.n_variants)))

    @property
    def correlations(self) -> FloatArray:
        """Of the variants: `ld`, or the identity."""
        return np.eye(self.n_variants) if self.ld is None else self.ld

    @cached_property
    def beta_exposure(self) -> FloatArray:
        """Effects on the exposure per effect allele, (n,)."""
        return self._numbers("beta_exposure")

    @cached_property
    def se_exposure(self) -> FloatArray:
        """Their standard errors, (n,)."""
        return self._numbers("se_exposure")

    @cached_property
    def beta_outcome(self) -> FloatArray:
        """Effects on the outcome of the same alleles, (n,)."""
        return self._numbers("beta_outcome")

    @cached_property
    def se_outcome(self) -> FloatArray:
        """Their standard errors, (n,)."""
        return self._numbers("se_outcome")

    def _numbers(self, column: str) -> FloatArray:
        return read_only(self.table[column].to_numpy(dtype=np.float64, copy=True))

    def summary(self) -> Summary:
        """Print the counts and the reasons for which variants were dropped."""
        nonzero = {name: n for name, n in self.counts.items() if n or name.startswith("n_")}
        table = pd.DataFrame({"count": list(nonzero), "variants": list(nonzero.values())})
        dropped = {name: n for name, n in nonzero.items() if name.startswith("dropped_")}
        notes = [f"{n} dropped: {REASONS[name]}" for name, n in sorted(dropped.items(), key=lambda item: -item[1])]
        return Summary(f"Harmonised variants: {self.exposure} -> {self.outcome}", [table], notes)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def vector(name: str, values: npt.ArrayLike, *, size: int | None = None, positive: bool = False) -> FloatArray:
    """Check a vector of numbers: its length, finite, where asked positive."""
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise SummaryStatisticsError(f"{name} must hold numbers") from None
    if array.ndim != 1 or (size is not None and array.size != size):
        wanted = "a vector" if size is None else f"a vector of {size} values like beta_exposure"
        raise SummaryStatisticsError(f"{name} must be {wanted}; its shape is {array.shape}")
    wrong = ~np.isfinite(array) | (positive & (array <= 0))
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        rule = "finite and positive" if positive else "finite"
        raise SummaryStatisticsError(
            f"{name} must be {rule}; {int(wrong.sum())} values are not, first {array[i]:g} at position {i}"
        )
    return array


def variant_names(variant: Any, size: int) -> npt.NDArray[np.object_]:
    """Check that names are distinct, or make them up."""
    if variant is None:
        return np.array([f"variant_{i + 1}" for i in range(size)], dtype=object)
    names = pd.Series(list(variant), dtype=object)
    if len(names) != size:
        raise SummaryStatisticsError(f"variant holds {len(names)} names for {size} effects")
    if names.duplicated().any():
        twice = names[names.duplicated()].iloc[0]
        raise SummaryStatisticsError(f"variant: {shown(twice)} is there more than once")
    return names.to_numpy()
