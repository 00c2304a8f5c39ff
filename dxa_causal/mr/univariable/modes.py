"""Modes of the variants' ratios."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option
from dxa_causal._core.rng import Seed
from dxa_causal.mr._kernels import mode as kernel
from dxa_causal.mr._kernels.median import second_order_weights
from dxa_causal.mr.estimator import Estimator, Row, Settings, refuse_correlated
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.univariable.one_method import one_method

if TYPE_CHECKING:
    from dxa_causal.mr.estimates import MREstimates
    from dxa_causal.mr.estimators import Method

Weighting = Literal["simple", "weighted"]
Density = Literal["exact", "grid"]
_PENALTY = 20.0
_DRAWN_AT_ONCE = 1 << 20


def _mode(
    *, weighted: bool, nome: bool = False, penalised: bool = False, phi: float = 1.0, density: Density = "exact"
) -> Callable[[Harmonised, Settings], list[Row]]:
    exact = density == "exact"

    def rows(h: Harmonised, settings: Settings) -> list[Row]:
        bx, by, sx, sy = h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome
        precision = (bx / sy) ** 2 if nome else second_order_weights(bx, by, sx, sy)
        weights = precision if weighted or penalised else np.ones(bx.size)

        def of(values: np.ndarray) -> np.ndarray:
            widths = kernel.bandwidths(values, phi)
            found = kernel.modes(values, weights / weights.sum(), widths, exact=exact)
            if penalised:
                lighter = kernel.penalised(precision, values, found, _PENALTY)
                found = kernel.modes(values, lighter / lighter.sum(axis=1, keepdims=True), widths, exact=exact)
            return found

        ratios = (by / bx)[None, :]
        width = float(kernel.bandwidths(ratios, phi)[0])
        details = {"bandwidth": width, "grid_step": kernel.grid_step(ratios, width)}
        block = max(1, _DRAWN_AT_ONCE // bx.size)
        sizes = [min(block, settings.n_draws - start) for start in range(0, settings.n_draws, block)]
        sd = precision**-0.5
        draws = np.concatenate([of(ratios + sd * settings.rng.standard_normal((m, bx.size))) for m in sizes])
        df = None if settings.convention == "mendelianrandomization" else bx.size - 1
        return [Row("effect", float(of(ratios)[0]), float(kernel.mads(draws[None, :])[0]), df, details=details)]

    return rows


def mode(
    harmonised: Harmonised,
    *,
    weighting: Weighting = "weighted",
    nome: bool = False,
    phi: float = 1.0,
    density: Density = "exact",
    seed: Seed = None,
    n_draws: int = 10_000,
) -> MREstimates:
    r"""Estimate the causal effect by the mode of the variants' ratios.

    Consistent when the largest group of variants with the same ratio is valid.

    Parameters
    ----------
    harmonised : Harmonised
    weighting : {"weighted", "simple"}
        Inverse variances of the ratios, or all equal.
    nome : bool
        First-order variances of the ratios: no measurement error of the
        effects on the exposure.
    phi : float
        Factor of the bandwidth.
    density : {"exact", "grid"}
        Top of the density wherever it lies, or the highest of the 512 points
        at which R's ``density`` evaluates it (R 4.4 and later).
    seed : int, Generator or None
    n_draws : int
        Bootstrap draws for the standard error.

    Returns
    -------
    MREstimates
        `further` holds the bandwidth, and the distance between the 512 points
        (grid_step): the rounding of "grid".

    Raises
    ------
    OptionError
        An unknown option, phi not positive, or fewer than two draws.

    Notes
    -----
    Conventions of MendelianRandomization 0.10: normal tests and limits.
    Bandwidth :math:`h = 0.9\,\phi\,\min(s, 1.4826\,\mathrm{MAD})\,n^{-1/5}` of the
    ratios :math:`r_j`; the estimate is the top of
    :math:`\sum_j w_j \exp(-(b - r_j)^2 / 2h^2)`. Standard error: 1.4826 times the
    median absolute deviation of the modes of ratios drawn around :math:`r_j`.

    References
    ----------
    Hartwig FP et al. Int J Epidemiol 2017;46:1985-1998. doi:10.1093/ije/dyx102

    Examples
    --------
    >>> from dxa_causal.mr import Harmonised
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.1, 0.2, 0.15, 0.1], se_exposure=[0.01] * 4,
    ...     beta_outcome=[0.05, 0.10, 0.08, 0.2], se_outcome=[0.02] * 4,
    ... )
    >>> mode(h, seed=1, n_draws=50).tidy()["estimate"].round(3).tolist()
    [0.503]
    """
    refuse_correlated(harmonised)
    check_option("weighting", weighting, Weighting)
    check_option("density", density, Density)
    if not (phi > 0 and np.isfinite(phi)):
        raise OptionError(f"phi={phi!r} must be positive: the factor of the bandwidth; 1 is usual")
    plain: Method = "weighted_mode" if weighting == "weighted" else "simple_mode"
    under_nome: Method = "weighted_mode_nome" if weighting == "weighted" else "simple_mode_nome"
    name = under_nome if nome else plain
    rows = _mode(weighted=weighting == "weighted", nome=nome, phi=phi, density=density)
    options = {"weighting": weighting, "nome": nome, "phi": phi, "density": density, "n_draws": n_draws}
    estimator = FAMILY[name]._replace(rows=rows)
    return one_method(harmonised, name, estimator, options, call="mode", seed=seed, n_draws=n_draws)


FAMILY: dict[str, Estimator] = {
    "simple_mode": Estimator("Simple mode", _mode(weighted=False)),
    "weighted_mode": Estimator("Weighted mode", _mode(weighted=True)),
    "simple_mode_nome": Estimator("Simple mode (NOME)", _mode(weighted=False, nome=True)),
    "weighted_mode_nome": Estimator("Weighted mode (NOME)", _mode(weighted=True, nome=True)),
    "penalised_mode": Estimator("Penalised mode", _mode(weighted=True, penalised=True)),
}
