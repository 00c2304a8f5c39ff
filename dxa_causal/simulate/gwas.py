"""GWAS summary statistics whose causal effects are known: on a panel's real correlations, or at given variants."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import ColumnNotFoundError, OptionError, SummaryStatisticsError, column_not_found
from dxa_causal._core.rng import Seed, generator
from dxa_causal.genotypes import Panel, read_panel

FloatArray = npt.NDArray[np.float64]

_NEEDED = ("variant", "effect_allele", "other_allele", "eaf", "beta", "se")


def gwas(
    panel: Panel | str | PathLike[str],
    effects: Mapping[str, Mapping[str, float]],
    *,
    n: int | Mapping[str, int],
    error_correlation: float = 0.0,
    seed: Seed = None,
) -> dict[str, pd.DataFrame]:
    r"""Simulate GWAS of quantitative traits at every variant of a panel, with the panel's linkage disequilibrium.

    Parameters
    ----------
    panel : Panel or path
        What :func:`dxa_causal.genotypes.read_panel` returned, or the prefix of its files.
    effects : mapping of trait to mapping of variant to float
        Effects of one more copy of the panel's allele_1 on a trait, in its
        standard deviations; variants not named have none.
    n : int or mapping of trait to int
        People in each study.
    error_correlation : float
        Between the errors of any two traits at one variant: people in both
        studies over :math:`\sqrt{n_1 n_2}`, times the traits' correlation.
    seed : int, Generator or None

    Returns
    -------
    dict of trait to DataFrame
        variant, chromosome, position, effect_allele (the panel's allele_1),
        other_allele, eaf, beta, se, p_value, n; one row per variant that varies
        among the panel's founders. ``attrs`` holds ``effects`` and
        ``monomorphic``, how many variants do not.

    Raises
    ------
    SummaryStatisticsError
        A variant with an effect is not in the panel, or does not vary there.
    OptionError
        A sample size is missing or not positive, or `error_correlation` is out of range.

    Notes
    -----
    With standardised genotypes the z statistics of n people are

    .. math:: z \sim N(\sqrt n\, R b,\; R),

    R the correlations in the panel, b the joint effects per standard deviation
    of a genotype. Neither R nor its root is formed: with the panel's standardised genotypes G (N people)
    :math:`R b = G^T G b / N` and :math:`G^T u / \sqrt N`, u standard normal, has variance R.
    What the variants explain is taken to be small: the standard error is that of a
    variant without effect. A missing genotype counts as the mean.

    References
    ----------
    Zhu X, Stephens M. Ann Appl Stat 2017;11:1561-1592. doi:10.1214/17-AOAS1046

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     prefix = Path(folder) / "tiny"
    ...     _ = prefix.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 1, 0b11101000, 0b00101011]))
    ...     _ = prefix.with_suffix(".bim").write_text("1 rs1 0 1000 A G\n1 rs2 0 2000 C T\n")
    ...     _ = prefix.with_suffix(".fam").write_text("".join(f"f{i} i{i} 0 0 0 -9\n" for i in range(4)))
    ...     made = gwas(prefix, {"protein": {"rs1": 0.5}, "bone": {"rs1": 0.2}}, n=40_000, seed=1)
    >>> made["protein"][["variant", "beta"]].round(1).values.tolist()  # rs2 is rs1, counted the other way
    [['rs1', 0.5], ['rs2', -0.5]]
    """
    known = panel if isinstance(panel, Panel) else read_panel(panel)
    if not effects:
        raise OptionError("effects: name at least one trait: {'protein': {'rs123': 0.2}}")
    sizes = _sizes(n, list(effects))
    lowest = -1.0 / (len(effects) - 1) if len(effects) > 1 else -1.0
    if not lowest <= error_correlation <= 1.0:
        raise OptionError(f"error_correlation={error_correlation!r} must lie between {lowest:.3g} and 1")
    variants = known.variants.to_pandas()
    copies = known.genotypes().to_numpy(dtype=np.float64)[known.founders]
    centred = copies - np.nanmean(copies, axis=0)
    centred[np.isnan(centred)] = 0.0
    spread = np.sqrt((centred**2).mean(axis=0))
    varies = spread > 0
    joint = _joint(effects, variants["variant"], varies)[:, varies]
    g, sd, rows = centred[:, varies] / spread[varies], spread[varies], variants[varies]
    people = g.shape[0]
    covariance = np.full((len(effects),) * 2, error_correlation)
    np.fill_diagonal(covariance, 1.0)
    values, vectors = np.linalg.eigh(covariance)
    mixed = vectors * np.sqrt(np.maximum(values, 0.0))
    errors = (mixed @ generator(seed).standard_normal((len(effects), people))) @ g / np.sqrt(people)
    marginal = (joint * sd) @ g.T @ g / people
    eaf = (np.nanmean(copies, axis=0) / 2.0)[varies]
    made = {}
    for k, (trait, size) in enumerate(sizes.items()):
        se = 1.0 / (np.sqrt(size) * sd)
        frame = pd.DataFrame(
            {
                "variant": rows["variant"].to_numpy(), "chromosome": rows["chromosome"].to_numpy(),
                "position": rows["position"].to_numpy(), "effect_allele": rows["allele_1"].to_numpy(),
                "other_allele": rows["allele_2"].to_numpy(), "eaf": eaf, "beta": marginal[k] / sd + errors[k] * se,
                "se": se,
            }
        )  # fmt: skip
        made[trait] = _with_p(frame, size, {"effects": dict(effects[trait]), "monomorphic": int((~varies).sum())})
    return made


def gwas_outcome(
    exposure: pd.DataFrame,
    effect: float,
    *,
    n: int,
    true_effects: Any = None,
    case_share: float | None = None,
    shared: float = 0.0,
    correlation: float = 0.0,
    direct_mean: float = 0.0,
    direct_sd: float = 0.0,
    seed: Seed = None,
) -> pd.DataFrame:
    r"""Simulate the outcome's associations at the variants of a real exposure, with a known causal effect.

    Parameters
    ----------
    exposure : DataFrame
        variant, effect_allele, other_allele, eaf, beta, se, and n where people are shared; independent variants.
    effect : float
        Of one unit of the exposure on the outcome: standard deviations, or log odds with `case_share`.
    n : int
        People in the outcome's study.
    true_effects : (m,) array_like, optional
        Of the variants on the exposure. Its estimates when omitted, which then have no errors.
    case_share : float, optional
        Share of cases, of a disease.
    shared : float
        Share of the people of the smaller study who are in the larger one too;
        needs `true_effects`, without which the exposure has no errors to share.
    correlation : float
        Of exposure (or its residual) and outcome in them.
    direct_mean, direct_sd : float
        Direct effects on the outcome of the allele that raises the exposure.
    seed : int, Generator or None

    Returns
    -------
    DataFrame
        variant, effect_allele, other_allele, eaf, beta, se, p_value, n. ``attrs`` holds ``effect`` and
        ``error_correlation``.

    Raises
    ------
    SummaryStatisticsError
        A column is missing or has no value in some row.
    OptionError
        An argument is out of range.

    Notes
    -----
    With true effect :math:`\gamma_j`, direct effect :math:`\alpha_j` and the exposure's error
    :math:`e_j = x_j - \gamma_j`

    .. math:: y_j = \theta\gamma_j + \alpha_j + \psi \frac{\sigma_{yj}}{\sigma_{xj}} e_j
                    + \sqrt{1 - \psi^2}\, \sigma_{yj} \epsilon_j, \qquad
              \psi = \rho \frac{n_s}{\sqrt{n_x n_y}},

    :math:`\sigma_{yj}^2 = 1 / [n\, 2 f_j (1 - f_j)\, \phi (1 - \phi)]` with the share of cases :math:`\phi` (without
    the last factor for a quantity). So an error shared with the exposure's real estimates is in
    the outcome too, as it is where the same people gave both.

    Examples
    --------
    >>> exposure = pd.DataFrame({"variant": ["rs1", "rs2"], "effect_allele": "A", "other_allele": "C",
    ...                          "eaf": [0.2, 0.5], "beta": [0.1, 0.2], "se": 0.01, "n": 30_000})
    >>> gwas_outcome(exposure, 0.5, n=10_000_000, seed=1)["beta"].round(2).tolist()
    [0.05, 0.1]
    """
    if not isinstance(exposure, pd.DataFrame):
        raise OptionError(f"exposure is a {type(exposure).__name__}; give a pandas frame (GWAS.to_pandas())")
    if not n > 0:
        raise OptionError(f"n={n!r} must be positive")
    if not np.isfinite(effect):
        raise OptionError(f"effect={effect!r} must be a finite number")
    missing = [c for c in _NEEDED if c not in exposure.columns]
    if missing:
        raise column_not_found(missing[0], exposure.columns, argument="exposure")
    if case_share is not None and not 0 < case_share < 1:
        raise OptionError(f"case_share={case_share!r} must lie between 0 and 1")
    if not 0 <= shared <= 1 or not -1 <= correlation <= 1 or direct_sd < 0:
        raise OptionError(
            f"shared={shared!r} must lie in [0, 1], correlation={correlation!r} in [-1, 1], direct_sd={direct_sd!r} "
            f"must not be negative"
        )
    x, sx, f = (_numbers(exposure, name) for name in ("beta", "se", "eaf"))
    outside = ~((f > 0) & (f < 1))
    if outside.any() or (sx <= 0).any():
        name, wrong = ("eaf", outside) if outside.any() else ("se", sx <= 0)
        row = int(np.flatnonzero(wrong)[0])
        raise SummaryStatisticsError(
            f"exposure: column {name!r}, row {row + 1}: {exposure[name].iloc[row]} is no {name}"
        )
    psi = 0.0
    if shared > 0:
        if "n" not in exposure.columns:
            raise ColumnNotFoundError("exposure: no column 'n'; sample sizes are needed where people are shared")
        n_x = float(_numbers(exposure, "n").mean())
        if correlation != 0 and true_effects is None:
            raise OptionError("shared needs true_effects: without them the exposure has no errors that could be shared")
        psi = correlation * shared * min(n_x, n) / np.sqrt(n_x * n)
    gamma = x if true_effects is None else np.asarray(true_effects, dtype=np.float64)
    if gamma.shape != x.shape:
        raise OptionError(f"true_effects has shape {gamma.shape}; the exposure has {x.size} variants")
    rng = generator(seed)
    information = n * 2.0 * f * (1.0 - f) * (1.0 if case_share is None else case_share * (1.0 - case_share))
    sy = 1.0 / np.sqrt(information)
    direct = np.where(x < 0, -1.0, 1.0) * (direct_mean + direct_sd * rng.standard_normal(x.size))
    error = psi * (x - gamma) / sx + np.sqrt(1.0 - psi**2) * rng.standard_normal(x.size)
    frame = exposure[["variant", "effect_allele", "other_allele", "eaf"]].reset_index(drop=True)
    frame = frame.assign(beta=effect * gamma + direct + sy * error, se=sy)
    return _with_p(frame, n, {"effect": effect, "error_correlation": psi})


def _sizes(n: int | Mapping[str, int], traits: list[str]) -> dict[str, int]:
    sizes = {trait: n.get(trait) for trait in traits} if isinstance(n, Mapping) else dict.fromkeys(traits, n)
    if isinstance(n, Mapping) and (unknown := [t for t in n if t not in traits]):
        raise OptionError(f"n: {unknown[0]!r} is not a trait of effects; they are {', '.join(map(repr, traits))}")
    found = {}
    for trait, size in sizes.items():
        if size is None or size <= 0:
            raise OptionError(f"n: {size!r} for {trait!r}; a positive number of people is needed for every trait")
        found[trait] = size
    return found


def _joint(
    effects: Mapping[str, Mapping[str, float]], names: pd.Series, varies: npt.NDArray[np.bool_]
) -> FloatArray:  # fmt: skip
    """Effects per copy of allele_1: (traits, variants)."""
    place = {name: k for k, name in reversed(list(enumerate(names)))}
    joint = np.zeros((len(effects), len(names)))
    for row, (trait, of) in zip(joint, effects.items(), strict=True):
        if not isinstance(of, Mapping):
            raise OptionError(f"effects: {trait!r} is {of!r}; write {{trait: {{variant: effect}}}}")
        for variant, effect in of.items():
            if not np.isfinite(effect):
                raise OptionError(f"effects: {variant!r} of {trait!r} is {effect!r}, not a finite number")
            if variant not in place:
                raise SummaryStatisticsError(f"effects: {variant!r} of {trait!r} is not in the panel")
            if not varies[place[variant]]:
                raise SummaryStatisticsError(f"effects: {variant!r} of {trait!r} does not vary in the panel")
            row[place[variant]] = effect
    return joint


def _numbers(frame: pd.DataFrame, name: str) -> FloatArray:
    values = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise SummaryStatisticsError(f"exposure: column {name!r} has no value in row {row + 1}")
    return np.asarray(values)


def _with_p(frame: pd.DataFrame, n: int, attrs: Mapping[str, object]) -> pd.DataFrame:
    from scipy.special import erfc

    z = (frame["beta"] / frame["se"]).to_numpy()
    frame = frame.assign(p_value=erfc(np.abs(z) / np.sqrt(2.0)), n=n)
    frame.attrs = dict(attrs)
    return frame
