"""Effects of the same variants on several exposures and one outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal.genotypes.linkage import check_correlation, refuse_indefinite
from dxa_causal.mr.harmonised import variant_names, vector
from dxa_causal.results import Summary, read_only

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class MultivariableHarmonised:
    """Variants ready for :func:`dxa_causal.mr.mvmr`.

    Made by :func:`dxa_causal.mr.harmonise_exposures` or, from numbers that are
    already aligned, by :meth:`from_arrays`.

    Attributes
    ----------
    beta_exposures, se_exposures, p_exposures : (n, k) ndarray
    beta_outcome, se_outcome : (n,) ndarray
    exposures : tuple of str
        Names of the k exposures.
    variant : (n,) ndarray of str
    n_exposures : (k,) ndarray
        Sample sizes; nan where unknown.
    n_outcome : float
    ld : (n, n) ndarray or None
        Correlations of the variants; None for independent ones.
    outcome : str
    effect_allele, other_allele : (n,) ndarray of str or None
        The alleles that all effects are counted for; None where they were not
        given.
    audit : DataFrame or None
        One row per variant of any exposure: variant, status ("kept" or
        "dropped"), reason; None where the numbers were given as aligned.
    """

    beta_exposures: FloatArray
    se_exposures: FloatArray
    p_exposures: FloatArray
    beta_outcome: FloatArray
    se_outcome: FloatArray
    exposures: tuple[str, ...]
    variant: npt.NDArray[np.object_]
    n_exposures: FloatArray
    n_outcome: float
    ld: FloatArray | None = None
    outcome: str = "outcome"
    effect_allele: npt.NDArray[np.object_] | None = None
    other_allele: npt.NDArray[np.object_] | None = None
    audit: pd.DataFrame | None = None

    @classmethod
    def from_arrays(
        cls,
        *,
        beta_exposures: npt.ArrayLike,
        se_exposures: npt.ArrayLike,
        beta_outcome: npt.ArrayLike,
        se_outcome: npt.ArrayLike,
        exposures: Any = None,
        variant: Any = None,
        p_exposures: npt.ArrayLike | None = None,
        ld: npt.ArrayLike | None = None,
        n_exposures: npt.ArrayLike | None = None,
        n_outcome: float | None = None,
        outcome: str = "outcome",
    ) -> MultivariableHarmonised:
        """Take effects that already belong to the same alleles.

        Parameters
        ----------
        beta_exposures, se_exposures : (n, k) array_like or DataFrame
            Finite; standard errors positive. A frame gives the names.
        beta_outcome, se_outcome : (n,) array_like
        exposures : (k,) array_like of str, optional
            Distinct names; ``exposure_1`` ... when omitted.
        variant : (n,) array_like of str, optional
            Distinct names; ``variant_1`` ... when omitted.
        p_exposures : (n, k) array_like, optional
            p-values, for ``instrument_specific``; from the z statistics when
            omitted.
        ld : (n, n) array_like, optional
            Signed correlations of the variants, in their order and coding.
        n_exposures : float or (k,) array_like, optional
            Sample sizes of the exposures' studies.
        n_outcome : float, optional
        outcome : str

        Raises
        ------
        SummaryStatisticsError
            Shapes differ or a value is not possible; the place is named.

        Examples
        --------
        >>> mh = MultivariableHarmonised.from_arrays(
        ...     beta_exposures=[[0.1, 0.0], [0.2, 0.1], [0.0, 0.1]], se_exposures=[[0.01, 0.01]] * 3,
        ...     beta_outcome=[0.05, 0.1, 0.02], se_outcome=[0.02] * 3, exposures=["LDL", "HDL"],
        ... )
        >>> mh.n_variants, mh.exposures
        (3, ('LDL', 'HDL'))
        """
        if exposures is None and isinstance(beta_exposures, pd.DataFrame):
            exposures = list(beta_exposures.columns)
        y = vector("beta_outcome", beta_outcome)
        beta = _matrix("beta_exposures", beta_exposures, y.size)
        se = _matrix("se_exposures", se_exposures, y.size, k=beta.shape[1], positive=True)
        names = (
            [f"exposure_{j + 1}" for j in range(beta.shape[1])] if exposures is None else [str(e) for e in exposures]
        )
        if len(names) != beta.shape[1] or len(set(names)) < len(names):
            raise SummaryStatisticsError(f"exposures must be {beta.shape[1]} different names; they are {names}")
        if p_exposures is None:
            from scipy.special import ndtr

            p = 2.0 * ndtr(-np.abs(beta / se))
        else:
            p = _matrix("p_exposures", p_exposures, y.size, k=beta.shape[1])
        return cls(
            beta_exposures=read_only(beta),
            se_exposures=read_only(se),
            p_exposures=read_only(p),
            beta_outcome=read_only(y),
            se_outcome=read_only(vector("se_outcome", se_outcome, size=y.size, positive=True)),
            exposures=tuple(names),
            variant=variant_names(variant, y.size),
            n_exposures=read_only(_sizes("n_exposures", n_exposures, beta.shape[1])),
            n_outcome=float(_sizes("n_outcome", n_outcome, 1)[0]),
            ld=None if ld is None else read_only(refuse_indefinite(check_correlation(ld, y.size))),
            outcome=outcome,
        )

    @property
    def n_variants(self) -> int:
        """Number of variants."""
        return self.beta_outcome.size

    @property
    def correlated(self) -> bool:
        """Whether `ld` was given and is not zero off the diagonal."""
        return self.ld is not None and bool(np.any(self.ld != np.eye(self.n_variants)))

    @property
    def correlations(self) -> FloatArray:
        """Of the variants: `ld`, or the identity."""
        return np.eye(self.n_variants) if self.ld is None else self.ld

    def coding(self, exposure: int) -> FloatArray:
        """Sign of every variant (n,) that makes it raise this exposure (from 0)."""
        return np.where(self.beta_exposures[:, exposure] < 0, -1.0, 1.0)

    def summary(self) -> Summary:
        """Print the numbers of variants and exposures, and why variants were dropped."""
        table = pd.DataFrame({"exposures": [", ".join(self.exposures)], "variants": [self.n_variants]})
        notes = []
        if self.audit is not None:
            why = self.audit.loc[self.audit["status"] == "dropped", "reason"].value_counts()
            notes = [f"{n} dropped: {reason}" for reason, n in why.items()]
        return Summary(f"Harmonised variants: {len(self.exposures)} exposures -> {self.outcome}", [table], notes)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def _sizes(name: str, value: Any, size: int) -> FloatArray:
    if value is None:
        return np.full(size, np.nan)
    array = np.array(value, dtype=np.float64)
    array = np.full(size, float(array)) if array.ndim == 0 else array
    if array.shape != (size,) or not (np.isfinite(array) & (array > 0)).all():
        raise SummaryStatisticsError(
            f"{name} must be one positive number{f' or {size} of them' if size > 1 else ''}; it is {value!r}"
        )
    return array


def _matrix(name: str, values: Any, n: int, *, k: int | None = None, positive: bool = False) -> FloatArray:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise SummaryStatisticsError(f"{name} must hold numbers") from None
    if array.ndim != 2 or len(array) != n or (k is not None and array.shape[1] != k):
        wanted = f"({n}, {'k' if k is None else k}): one row per variant, one column per exposure"
        raise SummaryStatisticsError(f"{name} must have the shape {wanted}; its shape is {array.shape}")
    wrong = ~np.isfinite(array) | (positive & (array <= 0))
    if wrong.any():
        i, j = (int(v[0]) for v in np.nonzero(wrong))
        rule = "finite and positive" if positive else "finite"
        raise SummaryStatisticsError(
            f"{name} must be {rule}; {int(wrong.sum())} values are not, first {array[i, j]:g} in row {i}, column {j}"
        )
    return array
