"""Coverage of limits of precision, cross-calibration, stability and drift; false alarms of control charts.

Run: python -m tests.simulations.densitometry
"""

import numpy as np

from dxa_causal.imaging._kernels import control, repeats


def precision(n_runs, seed=1):
    """Share of 95 % limits of the RMS-SD that hold the true one: 30 subjects twice; 10 to 20, two to four times."""
    rng = np.random.default_rng(seed)
    held = {"30 twice": 0, "10 to 20, two to four times": 0}
    for _ in range(n_runs):
        for name in held:
            count = np.full(30, 2) if name == "30 twice" else rng.integers(2, 5, rng.integers(10, 21))
            subject = np.repeat(np.arange(count.size), count)
            found = repeats.within_subjects(rng.normal(0.7, 0.1, count.size)[subject] + _noise(rng, subject), subject)
            df = np.array([repeats.mean_variance_df(found.count)])
            low, high = repeats.chi_square_limits(df, 0.95)
            sd = np.sqrt(np.mean(found.sd**2))
            held[name] += low[0] * sd <= 0.01 <= high[0] * sd
    return {name: n / n_runs for name, n in held.items()}


def _noise(rng, subject):
    return 0.01 * rng.standard_normal(subject.size)


def cross_calibration(n_runs, seed=2, n=30):
    """Share of 95 % limits of slope and intercept that hold the truth; mean slope."""
    from dxa_causal.imaging import cross_calibrate

    rng = np.random.default_rng(seed)
    held = {(m, t): 0 for m in ("deming", "passing_bablok") for t in ("intercept", "slope")}
    mean = dict.fromkeys(("deming", "passing_bablok"), 0.0)
    for _ in range(n_runs):
        true = rng.normal(0.7, 0.1, n)
        x = true + 0.02 * rng.standard_normal(n)
        y = 0.05 + 1.1 * true + 0.022 * rng.standard_normal(n)
        for method in mean:
            fit = cross_calibrate(x, y, method=method, error_ratio=1.21)
            mean[method] += fit.slope / n_runs
            table = fit.tidy().set_index("term")
            for term, truth in (("intercept", 0.05), ("slope", 1.1)):
                held[method, term] += table.loc[term, "conf_low"] <= truth <= table.loc[term, "conf_high"]
    return {**{" ".join(key): n / n_runs for key, n in held.items()}, **{f"{m} mean slope": v for m, v in mean.items()}}


def stability(n_runs, seed=3, n=30, k=3):
    """Share of 95 % limits of ICC(2,1) that hold the true 0.8 (1 subject, 0.05 repeat, 0.2 error)."""
    rng = np.random.default_rng(seed)
    held = 0
    for _ in range(n_runs):
        values = rng.standard_normal((n, 1)) + np.sqrt(0.05) * rng.standard_normal((1, k))
        low, high = repeats.intraclass(values + np.sqrt(0.2) * rng.standard_normal((n, k))).limits(0.95)
        held += low <= 1 / 1.25 <= high
    return {"ICC(2,1)": held / n_runs}


def drift(n_runs, seed=4, n=100):
    """False alarms over `n` scans after the baseline; delay and date after a shift of one SD; slope coverage."""
    from scipy.special import stdtrit

    from dxa_causal.imaging.drift import _slope

    rng = np.random.default_rng(seed)
    tally = dict.fromkeys(("baseline 25", "baseline 100", "true mean", "1.5 %", "sensitised", "slope"), 0)
    delay, off = [], []
    years = np.arange(25 + n) * 7 / 365.25
    for _ in range(n_runs):
        z = rng.standard_normal(200)
        for name, known in (("baseline 25", z[:25]), ("baseline 100", z[:100]), ("true mean", None)):
            mean, sd = (0.0, 1.0) if known is None else (known.mean(), known.std(ddof=1))
            follow = (z[100 : 100 + n] - mean) / sd
            sums = [control.cusum(s * follow, 0.5, 5.0) for s in (1, -1)]
            tally[name] += any(c.alarm >= 0 for c in sums)
        mean, sd = z[:25].mean(), z[:25].std(ddof=1)
        rules = control.sensitised_rules((z[100 : 100 + n] - mean) / sd)
        tally["sensitised"] += any(hit.any() for hit in rules.values())
        values = 1.0 + 0.005 * z
        tally["1.5 %"] += bool((np.abs(values[100 : 100 + n] / values[:25].mean() - 1) > 0.015).any())
        slope, error = _slope(years, values[: years.size])
        tally["slope"] += abs(slope) <= stdtrit(years.size - 2, 0.975) * error
        shifted = np.concatenate([z[:50], z[50:] + 1.0])
        found = control.cusum((shifted - mean) / sd, 0.5, 5.0)
        if found.alarm >= 50:
            delay.append(found.alarm - 50 + 1)
            off.append(found.start - 50)
    return {
        **{name: value / n_runs for name, value in tally.items()},
        "median delay": float(np.median(delay)),
        "start within 5": float(np.mean(np.abs(off) <= 5)),
    }


def main(n_runs=4000):
    """Print all."""
    for part in (precision, stability, drift, cross_calibration):
        print(part.__name__, {name: round(value, 4) for name, value in part(n_runs).items()})


if __name__ == "__main__":
    main()
