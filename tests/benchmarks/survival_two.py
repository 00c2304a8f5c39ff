"""What visits add, timed: CPU seconds of the whole call, one thread, warm.

    python -m tests.benchmarks.survival_two [name ...]

No other Python package has the semi-parametric regression of intervals, and R's icenReg cannot be built everywhere.
icenReg has standard errors from a bootstrap only, so the profile standard errors are set against a hundred of our own
fits without any: what a bootstrap of 100 samples costs with this very code.
"""

import sys
import warnings

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

import dxa_causal as dc
from tests.benchmarks.survival import cpu

s = dc.survival
COVARIATES = ["age", "sex", "ecog"]
# what lifelines calls the location
LOCATION = {"weibull": "lambda_", "loglogistic": "alpha_"}
VISITS = "Surv(left, right, type='interval')"


def visited(n, p, seed=1):
    """Onsets with log hazard ratios of 0.3, seen at up to eight irregular visits; no two bounds are equal."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    onset = 3 * rng.exponential(size=n) * np.exp(-x @ np.full(p, 0.3))
    visit = rng.uniform(0.3, 1.5, size=(n, 8)).cumsum(axis=1)
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(p)])
    frame["left"] = np.where(visit < onset[:, None], visit, 0).max(axis=1)
    frame["right"] = np.where(visit >= onset[:, None], visit, np.inf).min(axis=1)
    return frame


def interval_cox(frame, **options):
    right = " + ".join(c for c in frame if c.startswith("x"))
    return s.interval_cox(f"{VISITS} ~ {right}", frame, **options).coefficients


def intervals():
    """n = 2 000, p = 5 with profile errors against a bootstrap of 100; then n doubled to 20 000."""
    frame = visited(2000, 5)
    for model in ("ph", "po"):
        profile, _ = cpu(lambda d, m=model: interval_cox(d, model=m), frame, 3)
        alone, _ = cpu(lambda d, m=model: interval_cox(d, model=m, std_error="none"), frame, 3)
        print(
            f"interval_cox {model}, n = 2000, p = 5: {profile:.3g} s with profile errors (bar 10), {alone:.3g} s "
            f"without; a bootstrap of 100 would cost {100 * alone / profile:.1f} times the former (bar 5)",
            flush=True,
        )
    before = None
    for n in (2500, 5000, 10_000, 20_000):
        seconds, _ = cpu(interval_cox, visited(n, 5), 2)
        growth = "" if before is None else f", {seconds / before:.2f} times the half"
        print(f"interval_cox ph, n = {n}: {seconds:.3g} s{growth}", flush=True)
        before = seconds


def distributions():
    """Parametric models of lung beside lifelines: CPU, and how far its estimates and log-likelihood are from ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifelines import (
            GeneralizedGammaRegressionFitter,
            LogLogisticAFTFitter,
            LogNormalAFTFitter,
            WeibullAFTFitter,
            datasets,
        )

        lung = datasets.load_lung()[["time", "status", "age", "sex", "ph.ecog"]].dropna()
    lung = lung.rename(columns={"ph.ecog": "ecog"})
    peers = {"weibull": WeibullAFTFitter, "lognormal": LogNormalAFTFitter, "loglogistic": LogLogisticAFTFitter}
    for name, fitter in {**peers, "gengamma": GeneralizedGammaRegressionFitter}.items():

        def ours(d, name=name):
            fit = s.parametric("Surv(time, status) ~ age + sex + ecog", d, distribution=name)
            return [*fit.tidy().set_index("term")["estimate"][COVARIATES], fit.log_likelihood]

        def theirs(d, fitter=fitter, name=name):
            options = {"regressors": {"mu_": "age + sex + ecog", "sigma_": "1", "lambda_": "1"}}
            fit = fitter().fit(d, "time", "status", **(options if name == "gengamma" else {}))
            return [*fit.params_[LOCATION.get(name, "mu_")][COVARIATES], fit.log_likelihood_]

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (mine, own), (peer, told) = cpu(ours, lung, 5), cpu(theirs, lung, 5)
        gap = np.abs(told[:-1] / own[:-1] - 1).max()
        print(
            f"{name} on lung: {mine:.3g} s, lifelines {peer:.3g} s ({peer / mine:.0f} times); its estimates are up to "
            f"{gap:.0e} away, its log-likelihood is {own[-1] - told[-1]:.0e} lower",
            flush=True,
        )


CASES = {"intervals": intervals, "distributions": distributions}


def main(arguments):
    with threadpool_limits(1):
        for name in arguments or CASES:
            CASES[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
