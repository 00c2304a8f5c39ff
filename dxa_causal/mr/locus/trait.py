"""One trait's summary statistics in a region: the door through which all methods for a locus take their data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal.mr._kernels.bayes_factors import log_abf
from dxa_causal.mr.locus.columns import (
    NUMBERS,
    TraitType,
    estimated_sd,
    find_columns,
    letters,
    needed_columns,
    no_sd,
    no_type,
    numbers,
    one_value,
    refuse_impossible,
    refuse_repeated,
    share_of_cases,
    to_frame,
    trait_type,
    variant_names,
)
from dxa_causal.results import read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
TextArray = npt.NDArray[np.object_]

_PRIOR_SD = {"quant": 0.15, "cc": 0.2}  # of an effect: in standard deviations of the trait; on the log odds scale


@dataclass(frozen=True, eq=False)
class LocusTrait:
    """Summary statistics of one trait in one region, checked; made by :func:`locus_data`.

    Attributes
    ----------
    name : str
    type : {"quant", "cc"} or None
    variant : (m,) ndarray of str
    z : (m,) ndarray
        Effect over its standard error; without sign where only p-values were given (`signed` is False).
    variance : (m,) ndarray
        Of the effects.
    prior_variance : float
        Of a causal effect; nan where `lacking` says why there is none.
    n : float
        People (the median over the variants); nan where unknown.
    sd : float
        Standard deviation of a quantitative trait; nan for case and control.
    eaf, position : (m,) ndarray
        nan where unknown.
    effect_allele, other_allele : (m,) ndarray of str or None
    signed : bool
    n_rows : int
        Rows given.
    missing : dict of str to int
        Rows left out, by the column that was empty.
    lacking : str
        What keeps Bayes factors from being computed (no type, no sd); empty if nothing does.
    notes : tuple of str
    """

    name: str
    type: TraitType | None
    variant: TextArray
    z: FloatArray
    variance: FloatArray
    prior_variance: float
    n: float
    sd: float
    eaf: FloatArray
    position: FloatArray
    effect_allele: TextArray | None
    other_allele: TextArray | None
    signed: bool
    n_rows: int
    missing: dict[str, int]
    lacking: str
    notes: tuple[str, ...]

    @property
    def n_variants(self) -> int:
        """Variants kept."""
        return int(self.variant.size)

    def log_bayes_factors(self) -> FloatArray:
        """Wakefield's approximate Bayes factors (m,), as natural logarithms.

        Raises
        ------
        SummaryStatisticsError
            The type of the trait or its standard deviation is not known.
        """
        if self.lacking:
            raise SummaryStatisticsError(self.lacking)
        return log_abf(self.z, self.variance, self.prior_variance)

    def table(self) -> pd.DataFrame:
        """One row per variant: variant, position, eaf, beta, se, statistic (z), log_bf (nan where it has none)."""
        se, log_bf = np.sqrt(self.variance), log_abf(self.z, self.variance, self.prior_variance)
        columns = {"variant": self.variant, "position": self.position, "eaf": self.eaf, "beta": self.z * se, "se": se}
        return pd.DataFrame({**columns, "statistic": self.z, "log_bf": log_bf})

    def plot(self, ax: Axes | None = None, *, ld: Any = None) -> Axes:
        """Regional plot: -log10 p by position, coloured by r squared with the lead variant where `ld` is given."""
        from dxa_causal.mr.locus.linkage import matched_ld
        from dxa_causal.plots.regional import regional_plot

        lead = int(np.argmax(np.abs(self.z)))
        r2 = None
        if ld is not None:
            r, kept = matched_ld(ld, self.variant, self.name)
            r2 = np.full(self.n_variants, np.nan)
            where = np.flatnonzero(kept == lead)
            if where.size:
                r2[kept] = r[int(where[0])] ** 2
        position = self.position if np.isfinite(self.position).all() else None
        return regional_plot(self.z, position, lead=str(self.variant[lead]), r2=r2, ax=ax, trait=self.name)


def locus_data(
    frame: Any,
    *,
    type: TraitType | None = None,
    n: float | None = None,
    sd: float | None = None,
    case_share: float | None = None,
    name: str = "trait",
) -> LocusTrait:
    r"""Check the summary statistics of one trait in one region.

    Parameters
    ----------
    frame : pandas or polars frame, dict of columns, or what `read_gwas` returns
        variant; beta with se (or varbeta), or p_value with n and eaf (or maf). Also
        read: position, effect_allele, other_allele (or ea and oa, A1 and A2,
        alt and ref), and as columns of one value the options below (type, n,
        sdY, s or n_cases). Names of TwoSampleMR (beta.exposure) do too.
    type : {"quant", "cc"}, optional
        A quantitative trait or cases and controls. Bayes factors need it and
        the standard deviation; SuSiE, SMR and the check of linkage do not.
    n : float, optional
        People; a column that varies is used as it is and summarised by its median.
    sd : float, optional
        Standard deviation of a quantitative trait, 1 where it was
        standardised. Estimated from se, n and eaf when missing.
    case_share : float, optional
        Cases over people; needed for p-values of cases and controls only.
    name : str
        What messages and figures call the trait.

    Returns
    -------
    LocusTrait

    Raises
    ------
    SummaryStatisticsError
        A column is missing, a variant is repeated, or values are impossible.

    Notes
    -----
    The prior variance of a causal effect is :math:`(0.15\,\mathrm{sd})^2` for a
    quantitative trait and :math:`0.2^2` on the log odds scale, as in coloc. With p-values
    alone the variance of an effect is taken as :math:`1 / (2 n f (1 - f))` in
    units of the trait's standard deviation, for cases and controls divided by
    :math:`s (1 - s)`, and effects have no sign. A missing sd is that of
    :math:`2 n f (1 - f) = \mathrm{sd}^2 / \mathrm{se}^2` by least squares.
    Rows in which a needed value is missing are left out and counted.

    References
    ----------
    Giambartolomei C et al. PLoS Genet 2014;10:e1004383. doi:10.1371/journal.pgen.1004383

    Examples
    --------
    >>> d = locus_data({"variant": ["rs1", "rs2"], "beta": [0.1, 0.4], "se": [0.1, 0.1]}, type="quant", sd=1, n=500)
    >>> d.log_bayes_factors().round(3).tolist()
    [-0.243, 4.949]
    """
    if isinstance(frame, LocusTrait):
        return frame
    table = to_frame(frame, name)
    found = find_columns(table, name)
    for option, value in (("type", type), ("n", n), ("sd", sd), ("case_share", case_share)):
        if value is not None:
            found[option] = pd.Series(np.full(len(table), value, dtype=object if option == "type" else np.float64))
    kind = trait_type(found, name)
    use_p = not ("beta" in found and ("se" in found or "varbeta" in found))
    needed = needed_columns(found, use_p, table, name)
    values = {field: numbers(column, field, name) for field, column in found.items() if field in NUMBERS}
    names = variant_names(found["variant"])
    keep = pd.notna(names)
    missing = {"variant": int((~keep).sum())} if not keep.all() else {}
    for field in needed:
        empty = np.isnan(values[field])
        if empty.any():
            missing[field] = int(empty.sum())
            keep &= ~empty
    if not keep.any():
        raise SummaryStatisticsError(f"{name}: no row has values in all of {', '.join(map(repr, needed))}")
    if not keep.all():
        values, names = {field: v[keep] for field, v in values.items()}, names[keep]
    refuse_repeated(names, name)
    refuse_impossible(values, names, name, use_p=use_p)
    return _build(found, keep, values, names, kind, use_p, name, len(table), missing)


def _inside(frequency: FloatArray) -> FloatArray:
    """Frequencies of 0 and 1, rounded or of variants that do not vary, tell nothing."""
    return np.where((frequency > 0.0) & (frequency < 1.0), frequency, np.nan)


def _build(
    found: dict[str, pd.Series],
    keep: npt.NDArray[np.bool_],
    values: dict[str, FloatArray],
    names: TextArray,
    kind: TraitType | None,
    use_p: bool,
    name: str,
    n_rows: int,
    missing: dict[str, int],
) -> LocusTrait:
    nothing, notes = np.full(names.size, np.nan), []
    eaf, people = _inside(values.get("eaf", nothing)), values.get("n", nothing)
    frequency = eaf if "eaf" in values else _inside(values.get("maf", nothing))
    sd, lacking = one_value(values, "sd", name), "" if kind else no_type(name)
    signed = "beta" in values
    if use_p:
        if kind is None:
            raise SummaryStatisticsError(lacking)
        from scipy.special import ndtri

        z = -ndtri(values["p_value"] / 2.0)
        z = z * np.where(values["beta"] < 0.0, -1.0, 1.0) if signed else z
        variance = 1.0 / (2.0 * people * frequency * (1.0 - frequency))
        if kind == "cc":
            share = share_of_cases(values, name)
            variance = variance / (share * (1.0 - share))
        sd = 1.0 if kind == "quant" else np.nan
        notes.append(f"{name}: Bayes factors from p-values, n and allele frequencies")
    else:
        variance = values["se"] ** 2 if "se" in values else values["varbeta"]
        z = values["beta"] / np.sqrt(variance)
        if kind == "quant" and np.isnan(sd):
            sd = estimated_sd(variance, frequency, people)
            if np.isnan(sd):
                lacking = no_sd(frequency, people, name)
            else:
                notes.append(f"{name}: standard deviation of the trait estimated as {sd:.4g} from se, n and eaf")
    known = people[np.isfinite(people)]
    alleles = [letters(found[field], keep) if field in found else None for field in ("effect_allele", "other_allele")]
    names.flags.writeable = False
    return LocusTrait(
        name=name,
        type=kind,
        variant=names,
        z=read_only(z),
        variance=read_only(variance),
        prior_variance=float((_PRIOR_SD[kind] * (sd if kind == "quant" else 1.0)) ** 2) if kind else float("nan"),
        n=float(np.median(known)) if known.size else float("nan"),
        sd=float(sd) if kind == "quant" else float("nan"),
        eaf=read_only(eaf),
        position=read_only(values.get("position", nothing)),
        effect_allele=alleles[0],
        other_allele=alleles[1],
        signed=signed,
        n_rows=n_rows,
        missing=missing,
        lacking=lacking,
        notes=tuple(notes),
    )
