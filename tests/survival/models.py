"""Every model of the room, and which properties its numbers have.

A model has all of `PROPERTIES` but those that its `fails` names with the reason; the tests check both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd

import dxa_causal as dc

s = dc.survival

PROPERTIES = {
    "row order": "The order of the rows does not matter.",
    "weights of one": "Weights that are all one are no weights.",
    "whole weights": "A row with a whole weight is so many rows.",
    "unit of time": "Another unit of time rescales what has one and leaves the rest.",
    "split": "Follow-up cut into start-stop rows is the same follow-up.",
    "curve": "Probabilities lie between 0 and 1 and go one way, as cumulative hazards do.",
    "sum to one": "Incidences of all causes and survival add up to one.",
}

# Why a property does not hold.
TIES = "tied events enter one after the other: a repeated row is one tie more"
TIES_BY_ROW = "tied events are taken in the order of the rows"
NO_WEIGHTS = "takes no weights"
WEIGHTS_ROBUST = "weights turn standard errors robust"
ONE_ROW = "takes one row per person"
RANDOM = "random numbers go to rows in their order"
ROWS_TIME = "g(t) is made from the times of rows, whatever their weight, as in R"
ROWS_CENSORED = "each row counts once for the censoring distribution, as in R"
MEAN_BASELINE = "the baseline is that of the mean row, and there are more of them"
MEAN_ROW = "is relative to the mean of the rows, and there are more of them"
PENALTY = "the penalty is relative to the number of rows"
NO_CURVE = "shows no curve"
NO_CAUSES = "shows no incidences of several causes"
UNWEIGHTED = {"weights of one": NO_WEIGHTS, "whole weights": NO_WEIGHTS}
SINGLE_ROWS = {**UNWEIGHTED, "split": ONE_ROW}

# Options for split rows: errors by the model, by person, and both.
PLAIN, CLUSTERED = ({},), ({"cluster": "id"},)
EITHER = (*PLAIN, *CLUSTERED)

ERRORS = ("std_error", "statistic", "p_value", "conf_low", "conf_high")
LENGTH = dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high"), 1)
RATE = dict.fromkeys(LENGTH, -1)
RATIO_AND_RATE = dict.fromkeys(LENGTH, np.array([0, -1]))

KNOTS = {"knots": [4.0, 9.0], "boundary_knots": [1.5, 18.0]}
TIMES, TAU, END = (3.0, 6.5, 10.0), 10.0, 18.0
COHORT = 110
NEW = pd.DataFrame({"x": [-1.0, 0.4], "z": [0, 1], "weak": [1, 0], "stratum": [1, 0], "group": ["b", "a"]})
SURVIVAL, CAUSES = "Surv(entry, time, died)", "Surv(entry, time, cause)"

Numbers = dict[str, Any]


@dataclass(frozen=True)
class Model:
    """A way to call a function of the room.

    Attributes
    ----------
    of : str
        Name of the function.
    fit : callable
        (frame, unit=1.0, **options) -> result; `unit` is that of the times in the frame.
    numbers : callable
        (result, unit) -> name -> numbers.
    data : callable
        seed -> frame.
    fails : mapping of property to reason
    powers : mapping of name to int or array
        Power of the unit of time in which the numbers are; 0 when left out.
    by_row : tuple of str
        Numbers that take each row for one independent unit, so that whole weights are not so many rows.
    persons : tuple of mappings
        Options for split rows.
    curves : callable, optional
        result -> "survival", "incidence" or "hazard" -> table of estimate and limits, sorted by time within group,
        cause and row.
    sums : callable, optional
        (result, frame) -> sums that are one.
    rtol : float
    """

    of: str
    fit: Callable[..., Any]
    numbers: Callable[[Any, float], Numbers]
    data: Callable[[int], pd.DataFrame]
    fails: Mapping[str, str] = field(default_factory=dict)
    powers: Mapping[str, Any] = field(default_factory=dict)
    by_row: tuple[str, ...] = ()
    persons: tuple[Mapping[str, str], ...] = PLAIN
    curves: Callable[[Any], Mapping[str, pd.DataFrame]] | None = None
    sums: Callable[[Any, pd.DataFrame], Any] | None = None
    rtol: float = 1e-10

    def why_not(self, name: str) -> str | None:
        """Return the reason why the numbers lack a property, None if they have it."""
        if name == "curve" and self.curves is None:
            return NO_CURVE
        if name == "sum to one" and self.sums is None:
            return NO_CAUSES
        return self.fails.get(name)


# Data


def people(seed: int, n: int = COHORT) -> pd.DataFrame:
    """One row per person: tied times, delayed entry, two causes, whole weights."""
    rng = np.random.default_rng(seed)
    x, z, id = rng.normal(size=n), rng.integers(0, 2, n), rng.permutation(n)
    time = np.minimum(np.ceil(8 * rng.exponential(np.exp(-0.4 * x + 0.3 * z)) + 0.5), END)
    cause = np.where(time == END, 0, rng.choice([0, 1, 2], n, p=[0.25, 0.5, 0.25]))
    columns = {
        "id": id,
        "person": id,
        "entry": np.where(rng.random(n) < 0.3, np.floor(time / 2), 0.0),
        "time": time,
        "cause": cause,
        "died": cause == 1,
        "x": x,
        "z": z,
        "weak": rng.integers(0, 2, n),
        "group": rng.choice(["a", "b", "c"], n),
        "stratum": np.arange(n) % 2,
        "site": rng.integers(0, 8, n),
        "known": rng.normal(size=n) / 4,
        "expected": rng.uniform(0.2, 0.9, n),
        "sub": rng.random(n) < 0.5,
        "w": rng.integers(1, 4, n),
    }
    return pd.DataFrame(columns)


def visits(seed: int, n: int = 45) -> pd.DataFrame:
    """Up to three start-stop rows per person, each ending with an event or not, the last perhaps with death."""
    rng = np.random.default_rng(seed)
    stop = np.ceil(rng.gamma(2.0, 2.5, size=(n, 3))).cumsum(axis=1)
    visit, last = np.arange(3 * n) % 3, np.repeat(rng.integers(0, 3, n), 3)
    frame = people(seed, n).loc[np.repeat(np.arange(n), 3)].reset_index(drop=True)
    frame = frame.assign(
        entry=np.column_stack([np.zeros(n), stop[:, :2]]).ravel(),
        time=stop.ravel(),
        died=rng.random(3 * n) < 0.55,
        dead=(visit == last) & (rng.random(3 * n) < 0.5),
    )
    return frame[visit <= last].reset_index(drop=True)


def journeys(seed: int, n: int = 80) -> pd.DataFrame:
    """Start-stop rows of persons who fall ill (1) and die (2)."""
    return visits(seed, n).assign(cause=lambda d: np.where(d["dead"], 2, 1 * d["died"]))


def looked_at(seed: int) -> pd.DataFrame:
    """Visits of persons who are well or ill (2), up to death (3)."""
    frame = journeys(seed, 200)
    first = frame.groupby("id").head(1).assign(time=lambda d: d["entry"], cause=0)
    return pd.concat([first, frame], ignore_index=True).assign(cause=lambda d: d["cause"] + 1)


def sampled(seed: int) -> pd.DataFrame:
    """Return the subcohort and all cases."""
    return people(seed).query("sub or died").reset_index(drop=True)


def matched(seed: int) -> pd.DataFrame:
    """Return cases with two controls each."""
    return s.sample_controls(SURVIVAL, people(seed, 300), m=2, seed=seed)


# Numbers of results


def table(fit: Any, unit: float = 1.0) -> Numbers:
    """Return the columns of numbers of a table, or of the `tidy()` of a result."""
    frame = (fit if isinstance(fit, pd.DataFrame) else fit.tidy()).select_dtypes("number")
    return {name: frame[name].to_numpy(dtype=float) for name in frame if name not in ("n", "row", "time")}


def likelihood(fit: Any, unit: float = 1.0) -> Numbers:
    """Coefficients and log-likelihood."""
    return {**table(fit), "log_likelihood": fit.log_likelihood, "null": fit.log_likelihood_null}


def predicted(fit: Any, unit: float) -> Numbers:
    """Return what is predicted at some times for new rows."""
    return table(fit.predict(NEW, times=np.multiply(TIMES, unit)))


def at_times(fit: Any, unit: float) -> Numbers:
    """Return the curves at some times."""
    return table(fit.predict(times=np.multiply(TIMES, unit)))


def of_cox(fit: Any, unit: float) -> Numbers:
    """Coefficients, likelihood, tests, concordance and predictions of a Cox model."""
    survival = fit.predict(NEW, type="survival", times=np.multiply(TIMES, unit))
    mean = fit.predict(NEW, type="rmst", times=[TAU * unit])
    return {
        **likelihood(fit),
        "tests": [fit.likelihood_ratio_test.statistic, fit.score_test.statistic],
        "wald": fit.wald_test.statistic,
        "concordance": fit.concordance,
        "survival": survival["estimate"],
        "survival error": survival["std_error"],
        "mean": mean["estimate"],
        "mean error": mean["std_error"],
    }


def of_lifetime(fit: Any, unit: float) -> Numbers:
    """Effects of covariates, survival and mean time of new rows; other parameters depend on the unit of time."""
    curve = fit.predict(NEW, times=np.multiply(TIMES, unit))
    mean = fit.predict(NEW, type="rmst", times=[TAU * unit])
    return {
        "estimate": fit.coefficients[list(fit.effects)],
        "error": fit.std_error[list(fit.effects)],
        "curve": curve["estimate"],
        "curve error": curve["std_error"],
        "mean": mean["estimate"],
        "mean error": mean["std_error"],
    }


def of_frailty(fit: Any, unit: float) -> Numbers:
    """Coefficients, frailties and their variance."""
    names = ("theta", "frailties", "frailty_variance", "log_likelihood_marginal", "df")
    return {**likelihood(fit), **{name: getattr(fit, name) for name in names}}


def of_fine_gray(fit: Any, unit: float) -> Numbers:
    """Coefficients, likelihood and incidence."""
    return {**likelihood(fit), **{f"incidence {name}": value for name, value in predicted(fit, unit).items()}}


def of_test(outcome: Any, unit: float) -> Numbers:
    """Statistic and p-value."""
    return {"statistic": outcome.statistic, "p_value": outcome.p_value}


def of_curve_and_median(fit: Any, unit: float) -> Numbers:
    """Return the curve at some times and the median."""
    return {**at_times(fit, unit), "median": table(fit.median())["estimate"]}


def of_moves(fit: Any, unit: float) -> Numbers:
    """Return coefficients, probabilities of the states and times spent in them."""
    at = np.multiply(TIMES, unit)
    stay = fit.predict(NEW, type="length_of_stay", times=at)
    return {**likelihood(fit), **{f"chance {k}": v for k, v in predicted(fit, unit).items()}, "stay": stay["estimate"]}


def of_occupation(fit: Any, unit: float) -> Numbers:
    """Return the shares in the states at some times and the time spent in them."""
    stay = fit.length_of_stay(TAU * unit)
    return {**at_times(fit, unit), "stay": stay["estimate"], "stay error": stay["std_error"]}


def of_panel(fit: Any, unit: float) -> Numbers:
    """Return hazard ratios, intensities and probabilities of the states."""
    chance = fit.predict(NEW, times=np.multiply(TIMES, unit))
    rate = fit.intensities()
    ratio = fit.tidy().query("term == 'x'")["estimate"]
    return {"x": ratio, "chance": chance["estimate"], "rate": rate["estimate"], "rate error": rate["std_error"]}


def of_persons(values: Any, unit: float) -> Numbers:
    """Residuals by person."""
    return {"residual": values.sort_index().to_numpy()}


def of_draws(sample: pd.DataFrame, unit: float) -> Numbers:
    """Who was drawn for whom, when, and with which weight."""
    return {name: sample[name].to_numpy(dtype=float) for name in ("matched_set", "id", "weight", "set_time")}


def of_arms(fit: Any, unit: float) -> Numbers:
    """Return the ratio, which has no unit, without the intercept, which has."""
    return table(fit.tidy().query("term != 'Intercept'"))


# Curves and sums of results


def tidy_as(kind: str) -> Callable[[Any], Mapping[str, pd.DataFrame]]:
    """Return the curves of `tidy()`."""
    return lambda fit: {kind: fit.tidy()}


def predict_as(kind: str, **options: Any) -> Callable[[Any], Mapping[str, pd.DataFrame]]:
    """Return the curves that are predicted for new rows."""
    return lambda fit: {kind: fit.predict(NEW, **options)}


def beside_kaplan_meier(fit: Any, frame: pd.DataFrame) -> Any:
    """Incidences by group and time and the survival free of all causes."""
    free = s.kaplan_meier("Surv(entry, time, cause > 0) ~ group", frame).tidy()["estimate"].to_numpy()
    return fit.tidy().groupby(["group", "time"], sort=False)["estimate"].sum().to_numpy() + free


def beside_own_survival(fit: Any, frame: pd.DataFrame) -> Any:
    """Incidences by row and time and the survival free of all causes."""
    free = fit.predict(frame, type="survival")["estimate"].to_numpy()
    return fit.predict(frame).groupby(["row", "time"], sort=False)["estimate"].sum().to_numpy() + free


# Ways to make a model: arguments of `Model` declare, others are options of the call


def made(of: str, fit: Callable[..., Any], **given: Any) -> Model:
    """Return the model of a function; `fit` gets the frame, the unit and the options."""
    known = {f.name for f in fields(Model)}
    declared = {"numbers": table, "data": people, **{k: v for k, v in given.items() if k in known}}
    fixed = {k: v for k, v in given.items() if k not in known}
    return Model(of, lambda frame, unit=1.0, **options: fit(frame, unit, **fixed, **options), **declared)


def direct(of: str, formula: str, *, at: Mapping[str, Any] = {}, **given: Any) -> Model:
    """Return the model of a formula; the options in `at` are times."""

    def fit(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
        times = {name: np.multiply(value, unit) for name, value in at.items()}
        return getattr(s, of)(formula, frame, **times, **options)

    return made(of, fit, **given)


def from_cox(of: str, use: Callable[..., Any], right: str = "x + z + weak", **given: Any) -> Model:
    """Return what `use(fit, unit)` makes of a Cox model."""

    def fit(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
        return use(s.cox(f"{SURVIVAL} ~ {right}", frame, **{"ties": "breslow", **options}), unit)

    return made(of, fit, **given)


def cox(right: str = "x + z + C(group)", **given: Any) -> Model:
    """Cox's model."""
    shows_all = given.setdefault("numbers", of_cox) is of_cox
    given["powers"] = {"mean": 1, "mean error": 1, **given.get("powers", {})}
    curves = predict_as("survival", type="survival") if shows_all else None
    return direct("cox", f"{SURVIVAL} ~ {right}", curves=curves, **{"persons": EITHER, **given})


def frailty(**given: Any) -> Model:
    """Cox's model with a frailty by site; theta is found to the tolerance of a search."""
    options = {"frailty": "site", "ties": "breslow", "numbers": of_frailty, "rtol": 1e-8, **given}
    return direct("cox_frailty", f"{SURVIVAL} ~ x + z", **options)


def residuals(kind: str, **given: Any) -> Model:
    """Residuals by person."""
    return from_cox(
        "residuals",
        lambda fit, unit: s.residuals(fit, type=kind, weighted=kind != "deviance", collapse="person"),
        numbers=of_persons,
        cluster="person",
        **given,
    )


def ph_test(transform: str, **given: Any) -> Model:
    """Test of proportional hazards."""
    return from_cox("ph_test", lambda fit, unit: s.ph_test(fit, transform=transform), persons=EITHER, **given)


def concordance(weighting: str) -> Model:
    """Concordance weighted against censoring, which refuses delayed entry."""

    def fit(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
        return s.concordance(s.cox("Surv(time, died) ~ x + z", frame, **options), weighting=weighting)

    return made("concordance", fit, ties="breslow", by_row=ERRORS, persons=CLUSTERED, fails={"split": ONE_ROW})


def logrank(**given: Any) -> Model:
    """Log-rank test."""
    return direct("logrank", f"{SURVIVAL} ~ group", numbers=of_test, fails=UNWEIGHTED, **given)


def gray_test(**given: Any) -> Model:
    """Gray's test."""
    return direct("gray_test", "Surv(time, cause) ~ group", numbers=of_test, fails=SINGLE_ROWS, **given)


def curve(of: str, outcome: str, kind: str, **given: Any) -> Model:
    """Return a curve by group."""
    return direct(of, f"{outcome} ~ group", **{"numbers": at_times, "curves": tidy_as(kind), **given})


def rmst(formula: str, **given: Any) -> Model:
    """Restricted mean."""
    return direct("rmst", formula, at={"tau": TAU}, **{"powers": LENGTH, **given})


def pseudo(event: str, **given: Any) -> Model:
    """Regression on pseudo-observations."""
    formula = f"Surv(time, {event}) ~ x + z"
    return direct("pseudo_regression", formula, at={"times": TIMES}, fails=SINGLE_ROWS, persons=CLUSTERED, **given)


def fine_gray(**given: Any) -> Model:
    """Fine-Gray model with its incidence."""
    by_row = (*ERRORS, *(f"incidence {name}" for name in ERRORS))
    curves = predict_as("incidence")
    options = {"cause": 1, "id": "id", "numbers": of_fine_gray, "by_row": by_row, "curves": curves, **given}
    return direct("fine_gray", f"{CAUSES} ~ x + z", **options)


def additive(of: str, fails: Mapping[str, str] = {}, **given: Any) -> Model:
    """Additive hazards."""
    fails = {**fails, "curve": "an additive hazard may be negative"}
    if not given.get("robust"):
        fails |= {"weights of one": WEIGHTS_ROBUST}
    curves = predict_as("survival", type="survival")
    options = {"by_row": ERRORS, "persons": CLUSTERED if given.get("robust") else PLAIN, **given}
    return direct(of, f"{SURVIVAL} ~ x + z", fails=fails, curves=curves, **options)


def aalen(**given: Any) -> Model:
    """Aalen's additive hazards."""
    return additive("aalen_additive", **{"at": {"max_time": 12.0}, "ties": "joint", "numbers": at_times, **given})


def lifetime(of: str = "parametric", **given: Any) -> Model:
    """Return a whole distribution of times, found to the tolerance of Newton's method."""
    options = {
        "numbers": of_lifetime,
        "powers": {"mean": 1, "mean error": 1},
        "curves": predict_as("survival", type="survival"),
        "rtol": 1e-7,
        **given,
    }
    return direct(of, f"{SURVIVAL} ~ x + z", **options)


def recurrent(**given: Any) -> Model:
    """Recurrent events."""
    return direct("recurrent", f"{SURVIVAL} ~ x + z", id="id", data=visits, fails=UNWEIGHTED, **given)


def mean_cumulative(**given: Any) -> Model:
    """Mean number of events."""
    return curve("mean_cumulative", SURVIVAL, "hazard", id="id", data=visits, by_row=ERRORS, **given)


def panel_markov(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
    """Three states seen at visits."""
    moves = {1: [2, 3], 2: [1, 3]}
    return s.panel_markov(frame, state="cause", time="time", id="id", transitions=moves, covariates="x", **options)


def case_cohort(method: str, **given: Any) -> Model:
    """Case-cohort sample."""
    size = {0: COHORT // 2, 1: COHORT // 2} if method == "borgan-ii" else COHORT
    options = {"subcohort": "sub", "cohort_size": size, "method": method, "id": "id", **given}
    return direct("case_cohort", f"{SURVIVAL} ~ x + z", data=sampled, fails=SINGLE_ROWS, **options)


# What takes more than a formula


def two_concordances(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
    """Two models on the same rows."""
    return s.concordance([s.cox(f"{SURVIVAL} ~ {right}", frame, **options) for right in ("x", "x + z")])


def anova(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
    """Two nested models."""
    return s.anova(*(s.cox(f"{SURVIVAL} ~ {right}", frame, **options) for right in ("x", "x + z + C(group)")))


def cross_validate(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
    """Two models."""
    return s.cross_validate({"x": "Surv(time, died) ~ x", "both": "Surv(time, died) ~ x + z"}, frame, seed=1, **options)


def evaluate(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
    """Risks of a cause judged on the rows they were made from."""
    fit = s.cause_specific("Surv(time, cause) ~ x + z", frame, cause=1, **options)
    return s.evaluate(fit, frame, np.multiply(TIMES, unit))


def judged(of: str, **given: Any) -> Model:
    """Return what a function says of the predictions of two Cox models on the rows they were made from."""
    at = {name: given.pop(name) for name in ("horizon", "horizons") if name in given}

    def fit(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
        fixed = {k: options.pop(k) for k in ("thresholds", "cuts", "by", "metrics", "min_events") if k in options}
        models = {right: s.cox(f"Surv(time, died) ~ {right}", frame, **options) for right in ("x", "x + z")}
        return getattr(s, of)(models, frame, **{k: v * unit for k, v in at.items()}, **fixed)

    return made(of, fit, fails={"whole weights": NO_WEIGHTS, "split": ONE_ROW}, rtol=1e-7, **given)


def made_anew(of: str, horizon: str = "horizons", **given: Any) -> Model:
    """Return what a function says that makes a Cox model on parts of the rows."""
    at = {horizon: TAU}

    def fit(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
        fixed = {k: options.pop(k) for k in ("outcome", "site", "folds", "n_resamples", "seed") if k in options}

        def make(part: pd.DataFrame) -> Any:
            return s.cox("Surv(time, died) ~ x + z", part, **options)

        of_many = {"cox": make} if of == "nested_cross_validation" else make
        return getattr(s, of)(of_many, frame, **{k: v * unit for k, v in at.items()}, metrics=["auc", "brier"], **fixed)

    fails = {"whole weights": NO_WEIGHTS, "split": ONE_ROW}
    if "seed" in given:
        fails["row order"] = RANDOM
    return made(of, fit, fails=fails, rtol=1e-7, **given)


def coxnet(frame: pd.DataFrame, unit: float, weights: str | None = None) -> Any:
    """Elastic net at one penalty."""
    weight = None if weights is None else frame[weights]
    return s.CoxNet(lambdas=[0.02]).fit(frame[["x", "z"]], s.survival_outcome(SURVIVAL, frame), weight)


def permutation_importance(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
    """Of two covariates."""
    y = s.survival_outcome("Surv(time, died)", frame)
    return s.permutation_importance(s.CoxNet(lambdas=[0.02]), frame[["x", "z"]], y, cv=2, seed=1, **options)


def total_incidence(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
    """Sum over both causes."""
    fits = [s.fine_gray(f"{CAUSES} ~ x + z", frame, cause=k, **options) for k in (1, 2)]
    return s.total_incidence(fits, NEW, times=np.multiply(TIMES, unit))


def pseudo_observations(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
    """Return them by person."""
    values = s.pseudo_observations(
        "Surv(time, died) ~ group", frame.set_index("id"), times=np.multiply(TIMES, unit), **options
    )
    return values.sort_values(["time", "row"])


def person_years(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
    """Person-time by group and band of time since the origin."""
    return s.person_years(f"{SURVIVAL} ~ group", frame, scales={"since": (None, [0.0, 5.0 * unit])}, **options)


def smr(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
    """Observed to expected, at reference rates by group and time since the origin."""
    rates = pd.DataFrame({"z": [0, 0, 1, 1], "since": [0.0, 5.0, 0.0, 5.0], "rate": [0.04, 0.06, 0.05, 0.08]})
    rates = rates.assign(since=rates["since"] * unit, rate=rates["rate"] / unit)
    return s.smr(f"{SURVIVAL} ~ group", frame, rates=rates, scales={"since": None}, **options)


def standardised_rate(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
    """Return rates for a standard population."""
    standard = pd.DataFrame({"z": [0, 1], "population": [0.6, 0.4]})
    return s.standardised_rate(f"{SURVIVAL} ~ group", frame, standard=standard, **options)


def illness_death(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
    """Every other person seen ill, at a third or two thirds of the follow-up; the others visited late."""
    length, ill = frame["time"] - frame["entry"], frame["weak"] == 1
    seen = frame["entry"] + length * np.where(frame["z"] == 1, 2 / 3, 1 / 3)
    left = frame["entry"] + length * np.where(ill, 1 / 4, 9 / 10)
    visits = frame.assign(left=left, right=seen.where(ill, np.inf))
    onset = "Surv(left, right, type='interval')"
    return s.illness_death(ill=onset, death=SURVIVAL, covariates="x", data=visits, **options)


def by_visits(of: str, right: str = "x + z", **given: Any) -> Model:
    """Return a model of events seen at a visit; of the weak they are exact."""

    def fit(frame: pd.DataFrame, unit: float, **options: Any) -> Any:
        before = frame["entry"] + (frame["time"] - frame["entry"]) * (0.2 + 0.3 * frame["z"])
        left = before.where(frame["died"] & (frame["weak"] == 0), frame["time"])
        seen = frame.assign(left=left, right=frame["time"].where(frame["died"], np.inf))
        return getattr(s, of)(f"Surv(left, right, type='interval') ~ {right}", seen, entry="entry", **options)

    return made(of, fit, fails={"split": ONE_ROW}, **{"rtol": 1e-7, **given})


def of_intervals(fit: Any, unit: float) -> Numbers:
    """Coefficients, likelihood and survival of new rows."""
    survival = fit.predict(NEW, type="survival", times=np.multiply(TIMES, unit))
    return {**likelihood(fit), "survival": survival["estimate"]}


def of_states(fit: Any, unit: float) -> Numbers:
    """Coefficients, and probabilities of the states of new rows."""
    found = fit.predict(NEW, start=unit, times=np.multiply(TIMES, unit))
    return {**table(fit), **{f"{name} of states": value for name, value in table(found).items()}}


MODELS = {
    "cox": cox(fails={"whole weights": TIES}),
    "cox breslow": cox(ties="breslow"),
    "cox exact": cox(ties="exact", fails=UNWEIGHTED, persons=PLAIN),
    "cox stratified": cox("x + z", ties="breslow", strata="stratum"),
    "cox offset": cox("x + z", ties="breslow", offset="known", numbers=likelihood),
    "cox robust": cox(
        ties="breslow",
        robust=True,
        weight_type="probability",
        by_row=(*ERRORS, "wald", "survival error", "mean error"),
        persons=CLUSTERED,
    ),
    "cox frequency": cox(weight_type="frequency"),
    "cox frequency robust": cox(weight_type="frequency", robust=True, persons=CLUSTERED),
    "cox ridge": cox(ties="breslow", ridge=3.0),
    "cox firth": cox(ties="breslow", firth=True, persons=PLAIN),
    "cox function of time": cox(
        "z + x",
        ties="breslow",
        time_varying={"x": "t"},
        numbers=likelihood,
        powers=dict.fromkeys(LENGTH, np.array([0, 0, -1])),
    ),
    "predict_cox": from_cox(
        "predict_cox",
        lambda fit, unit: s.predict_cox(fit, NEW, type="cumulative_hazard", times=np.multiply(TIMES, unit)),
        persons=EITHER,
        curves=lambda found: {"hazard": found},
    ),
    "predict_cox lp": from_cox(
        "predict_cox", lambda fit, unit: s.predict_cox(fit, NEW, type="lp"), fails={"split": MEAN_ROW}
    ),
    "dose_response": from_cox(
        "dose_response",
        lambda fit, unit: s.dose_response(fit, "x", reference=0.0, values=[-0.5, 0.5]).tidy(),
        persons=EITHER,
    ),
    "predict_cox median": from_cox(
        "predict_cox", lambda fit, unit: s.predict_cox(fit, NEW, type="median"), powers=LENGTH, persons=EITHER
    ),
    "frailty gamma": frailty(),
    "frailty gamma given": frailty(theta=0.5),
    "frailty gaussian": frailty(distribution="gaussian"),
    "frailty gaussian ml": frailty(distribution="gaussian", method="ml"),
    "frailty dense": frailty(distribution="gaussian", sparse=False, strata="stratum"),
    **{f"residuals {kind}": residuals(kind) for kind in ("martingale", "score", "dfbeta", "dfbetas")},
    "residuals deviance": residuals("deviance", fails={"whole weights": "counts events without weights, as in R"}),
    "ph_test identity": ph_test("identity"),
    "ph_test log": ph_test("log"),
    "ph_test km": ph_test("km", fails={"whole weights": ROWS_TIME}),
    "ph_test rank": ph_test("rank", fails={"whole weights": ROWS_TIME, "split": ROWS_TIME}),
    "ph_test km frequency": ph_test("km", weight_type="frequency"),
    "ph_test rank frequency": ph_test("rank", weight_type="frequency", fails={"split": ROWS_TIME}),
    "anova": made("anova", anova, ties="breslow"),
    "concordance": from_cox("concordance", lambda fit, unit: s.concordance(fit), by_row=ERRORS, persons=CLUSTERED),
    "concordance uno": concordance("uno"),
    "concordance S": concordance("S"),
    "concordance frequency": from_cox(
        "concordance", lambda fit, unit: s.concordance(fit), weight_type="frequency", persons=CLUSTERED
    ),
    "concordance of two": made("concordance", two_concordances, ties="breslow", by_row=ERRORS, persons=CLUSTERED),
    "bootstrap": from_cox(
        "bootstrap",
        lambda fit, unit: s.bootstrap(fit, n_resamples=20, seed=1),
        "x + z",
        fails={"row order": RANDOM, "whole weights": "draws rows"},
        persons=CLUSTERED,
    ),
    "evaluate": made("evaluate", evaluate, fails={"whole weights": NO_WEIGHTS, "split": ONE_ROW}, rtol=1e-9),
    "calibration": judged("calibration", horizon=TAU),
    "d_calibration": judged("d_calibration"),
    "decision_curve": judged("decision_curve", horizon=TAU, thresholds=[0.2, 0.4]),
    "reclassification": judged("reclassification", horizon=TAU, cuts=[0.3, 0.5]),
    "evaluate_subgroups": judged("evaluate_subgroups", horizons=TAU, by=["group"], metrics=["auc"], min_events=2),
    "delong": made(
        "delong",
        lambda frame, unit, **options: s.delong("died", "x", "known", data=frame, **options),
        fails=SINGLE_ROWS,
    ),
    "royston_d": from_cox(
        "royston_d", lambda fit, unit: s.royston_d(fit), fails={"whole weights": NO_WEIGHTS, "split": ONE_ROW}
    ),
    "optimism": made_anew("optimism", "horizon", n_resamples=3, seed=1),
    "nested_cross_validation": made_anew("nested_cross_validation", outcome="Surv(time, died)", folds=2, seed=1),
    "internal_external": made_anew("internal_external", site="stratum"),
    "survival_outcome": made(
        "survival_outcome",
        coxnet,
        numbers=lambda fit, unit: {
            "coefficients": fit.coef_,
            "survival": fit.predict_survival_function(NEW, np.multiply(TIMES, unit)),
        },
        fails={"split": PENALTY},
        rtol=1e-8,
    ),
    "permutation_importance": made(
        "permutation_importance", permutation_importance, fails={"row order": RANDOM, **SINGLE_ROWS}
    ),
    "cross_validate": made("cross_validate", cross_validate, fails={"row order": RANDOM, **SINGLE_ROWS}),
    "interaction": from_cox(
        "interaction", lambda fit, unit: s.interaction(fit, "z", "weak"), "z * weak", persons=EITHER
    ),
    "attributable_fraction": from_cox(
        "attributable_fraction",
        lambda fit, unit: s.attributable_fraction(fit, exposure="weak"),
        by_row=ERRORS,
        persons=CLUSTERED,
    ),
    "attributable_fraction in time": from_cox(
        "attributable_fraction",
        lambda fit, unit: s.attributable_fraction(fit, exposure="weak", times=np.multiply(TIMES, unit)),
        by_row=ERRORS,
        fails={"split": ONE_ROW},
        persons=CLUSTERED,
    ),
    "kaplan_meier": curve(
        "kaplan_meier", SURVIVAL, "survival", numbers=of_curve_and_median, powers={"median": 1}, persons=EITHER
    ),
    "kaplan_meier robust": curve(
        "kaplan_meier", SURVIVAL, "survival", robust=True, conf_type="log-log", by_row=ERRORS, persons=CLUSTERED
    ),
    **{
        f"kaplan_meier {scale}": curve("kaplan_meier", SURVIVAL, "survival", conf_type=scale, persons=EITHER)
        for scale in ("plain", "logit", "arcsin")
    },
    "nelson_aalen": curve("nelson_aalen", SURVIVAL, "hazard", persons=EITHER),
    "nelson_aalen fleming-harrington": curve(
        "nelson_aalen",
        SURVIVAL,
        "survival",
        ties="fleming-harrington",
        numbers=lambda fit, unit: table(fit.predict(np.multiply(TIMES, unit), type="survival")),
        curves=lambda fit: {"survival": fit.predict(TIMES, type="survival")},
        fails={"whole weights": TIES},
        persons=EITHER,
    ),
    "aalen_johansen": curve(
        "aalen_johansen", CAUSES, "incidence", by_row=ERRORS, persons=CLUSTERED, sums=beside_kaplan_meier
    ),
    "aalen_johansen cmprsk": curve(
        "aalen_johansen", "Surv(time, cause)", "incidence", variance="cmprsk", conf_type="log-log", fails=SINGLE_ROWS
    ),
    "logrank": logrank(),
    "logrank stratified": logrank(strata="stratum"),
    "logrank late": logrank(rho=1.0, gamma=1.0),
    "logrank trend": logrank(trend="order"),
    **{f"logrank {name}": logrank(weighting=name) for name in ("gehan", "tarone-ware", "peto")},
    "gray_test": gray_test(cause=1),
    "gray_test weighted": gray_test(cause=2, strata="stratum", rho=1.0),
    "rmst": rmst(f"{SURVIVAL} ~ z", fails=UNWEIGHTED),
    "rmst weighted": rmst("Surv(time, died) ~ z", by_row=ERRORS, fails={"split": ONE_ROW}),
    "rmst ratio": rmst(
        "Surv(time, died) ~ z",
        link="log",
        quantity="rmtl",
        numbers=of_arms,
        powers={},
        by_row=ERRORS,
        fails={"split": ONE_ROW},
    ),
    "rmst ipcw": rmst("Surv(time, died) ~ z + x", by_row=ERRORS, fails={"split": ONE_ROW}),
    "rmst pseudo": rmst("Surv(time, died) ~ z + x", method="pseudo", fails=SINGLE_ROWS),
    "pseudo_observations": made("pseudo_observations", pseudo_observations, fails=SINGLE_ROWS),
    "pseudo_regression": pseudo("died"),
    "pseudo_regression cloglog": pseudo("cause", type="cumulative_incidence", cause=2, link="cloglog"),
    "pseudo_regression jackknife": pseudo("died", type="cumulative_hazard", method="jackknife", strata="stratum"),
    "pseudo_regression rmtl": pseudo("cause", type="rmtl", cause=1, powers=LENGTH),
    "fine_gray": fine_gray(),
    "fine_gray clustered": fine_gray(censoring_strata="stratum", cluster="site", by_row=()),
    "fine_gray finegray": fine_gray(censoring="finegray", fails={"whole weights": ROWS_CENSORED}),
    "fine_gray efron": fine_gray(censoring="finegray", ties="efron", fails={"whole weights": ROWS_CENSORED}),
    "total_incidence": made("total_incidence", total_incidence, id="id"),
    "cause_specific": direct(
        "cause_specific",
        f"{CAUSES} ~ x + z",
        ties="breslow",
        persons=EITHER,
        curves=lambda fit: {"incidence": fit.predict(NEW), "survival": fit.predict(NEW, type="survival")},
        sums=beside_own_survival,
    ),
    "cause_specific incidence": direct(
        "cause_specific",
        f"{CAUSES} ~ x + z",
        strata="stratum",
        cause=2,
        numbers=predicted,
        fails={"whole weights": TIES},
        persons=CLUSTERED,
    ),
    "aalen_additive": aalen(),
    "aalen_additive mean": aalen(numbers=table, powers=RATE),
    "aalen_additive robust": aalen(robust=True),
    "aalen_additive break": aalen(robust=True, ties="break", fails={"row order": TIES_BY_ROW, "whole weights": TIES}),
    "lin_ying": additive("lin_ying", powers=RATE),
    "lin_ying robust": additive("lin_ying", powers=RATE, robust=True, strata="stratum"),
    "parametric": lifetime(persons=EITHER),
    **{
        f"parametric {distribution}": lifetime(distribution=distribution)
        for distribution in ("exponential", "lognormal", "loglogistic", "gengamma", "gompertz")
    },
    "parametric odds": lifetime(distribution="lognormal", parameterisation="po", fails={"split": MEAN_BASELINE}),
    "parametric stratified": lifetime(
        strata="stratum", robust=True, by_row=("error", "curve error", "mean error"), persons=CLUSTERED
    ),
    "parametric pieces": lifetime(distribution="piecewise_exponential", at={"breaks": [4.0, 9.0]}),
    "predict_lifetime": made(
        "predict_lifetime",
        lambda frame, unit, **options: s.predict_lifetime(
            s.parametric(f"{SURVIVAL} ~ x + z", frame, **options), NEW, type="median"
        ),
        powers=LENGTH,
        rtol=1e-7,
    ),
    **{
        f"royston_parmar {scale}": lifetime("royston_parmar", scale=scale, at=KNOTS)
        for scale in ("hazard", "odds", "normal")
    },
    "compare_distributions": direct(
        "compare_distributions",
        f"{SURVIVAL} ~ x",
        distributions=["weibull", "lognormal"],
        numbers=lambda found, unit: table(found.best.tidy().query("term == 'x'")),
        rtol=1e-7,
    ),
    "recurrent": recurrent(),
    **{
        f"recurrent {model}{' by event' * by_event}": recurrent(model=model, by_event=by_event, max_events=2)
        for model in ("pwp-total", "pwp-gap", "wlw")
        for by_event in (False, True)
    },
    "recurrent stratified": recurrent(model="pwp-total", strata="stratum", ties="breslow"),
    "state_occupation": direct(
        "state_occupation",
        f"{CAUSES} ~ group",
        id="id",
        data=journeys,
        numbers=of_occupation,
        powers={"stay": 1, "stay error": 1},
        by_row=("stay error", *ERRORS),
        persons=EITHER,
        sums=lambda fit, frame: fit.tidy().groupby(["group", "time"])["estimate"].sum(),
    ),
    "multi_state": direct(
        "multi_state",
        f"{CAUSES} ~ x + z",
        id="id",
        ties="breslow",
        data=journeys,
        numbers=of_moves,
        powers={"stay": 1},
        by_row=(*ERRORS, *(f"chance {name}" for name in ERRORS)),
        persons=EITHER,
        sums=lambda fit, frame: fit.predict(NEW).groupby(["row", "time"])["estimate"].sum(),
    ),
    "panel_markov": made(
        "panel_markov",
        panel_markov,
        data=looked_at,
        numbers=of_panel,
        powers={"rate": -1, "rate error": -1},
        fails={**UNWEIGHTED, "split": "takes each row as a visit"},
        rtol=1e-6,
    ),
    "mean_cumulative": mean_cumulative(),
    "mean_cumulative death": mean_cumulative(death="dead"),
    "person_years": made("person_years", person_years, powers={**RATE, "person_time": 1}),
    "rate_ratio": direct("rate_ratio", f"{SURVIVAL} ~ z", fails=UNWEIGHTED, powers=RATIO_AND_RATE),
    "rate_ratio pooled": direct(
        "rate_ratio", f"{SURVIVAL} ~ z", strata="group", fails=UNWEIGHTED, powers=RATIO_AND_RATE
    ),
    "smr": made("smr", smr, fails=UNWEIGHTED),
    "smr expected": direct(
        "smr",
        f"{SURVIVAL} ~ group",
        expected="expected",
        fails={**UNWEIGHTED, "split": "each row brings its own expected number"},
    ),
    "standardised_rate": made(
        "standardised_rate", standardised_rate, fails=UNWEIGHTED, powers={**RATE, "person_time": 1}
    ),
    "turnbull": by_visits(
        "turnbull",
        "group",
        numbers=lambda fit, unit: {**at_times(fit, unit), "log_likelihood": fit.log_likelihood},
        curves=lambda fit: {"survival": fit.predict(TIMES).assign(conf_low=np.nan, conf_high=np.nan)},
    ),
    **{
        f"interval_cox {model}": by_visits(
            "interval_cox",
            model=model,
            numbers=of_intervals,
            curves=lambda fit: {
                "survival": fit.predict(NEW, type="survival").assign(conf_low=np.nan, conf_high=np.nan)
            },
        )
        for model in ("ph", "po")
    },
    "case_cohort": case_cohort("prentice"),
    "case_cohort self-prentice": case_cohort("self-prentice", robust=True),
    "case_cohort lin-ying": case_cohort("lin-ying"),
    "case_cohort borgan-ii": case_cohort("borgan-ii", strata="stratum"),
    "nested_case_control": direct(
        "nested_case_control",
        "case ~ x + z",
        matched_set="matched_set",
        numbers=likelihood,
        data=matched,
        fails={**UNWEIGHTED, "split": "has sets in place of time"},
    ),
    "sample_controls": direct(
        "sample_controls",
        SURVIVAL,
        m=1,
        seed=1,
        numbers=of_draws,
        powers={"set_time": 1},
        fails={"row order": RANDOM, **SINGLE_ROWS},
    ),
    "illness_death": made(
        "illness_death",
        illness_death,
        numbers=of_states,
        fails=SINGLE_ROWS,
        curves=lambda fit: {"incidence": fit.predict(NEW, type="cumulative_incidence", start=1.0)},
        sums=lambda fit, frame: fit.predict(NEW, start=1.0).groupby(["row", "time"])["estimate"].sum(),
        rtol=1e-7,
    ),
}
