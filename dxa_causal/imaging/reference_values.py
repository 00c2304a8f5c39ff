"""T- and Z-scores against reference values that the site registers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import MeasurementError, ReferenceValueError, column_not_found, nearest, shown
from dxa_causal._design.matrix import plain_types, to_pandas
from dxa_causal.imaging.columns import read_numbers

FloatArray = npt.NDArray[np.float64]

KEY = ("device", "site", "sex", "ancestry")
NUMBERS = ("age_low", "age_high", "mean", "sd")
COLUMNS = (*KEY, *NUMBERS, "source")

Bands = dict[tuple[str, ...], pd.DataFrame]

# Empty by default: reference values belong to a device, and none is right for another.
_REGISTERED: Bands = {}


def register_reference(table: Any, *, replace: bool = False) -> None:
    """Register reference values for :func:`t_score` and :func:`z_score`.

    Parameters
    ----------
    table : pandas or polars frame
        One row per age band: device, site, sex, ancestry (text), age_low, age_high
        (years, the band is ``age_low <= age < age_high``), mean, sd (unit of the
        feature, for instance g/cm2), source (where the numbers come from), and
        optionally young_adult (true for the row T-scores refer to, at most one per
        device, site, sex and ancestry; it may overlap other bands).
    replace : bool
        Replace what is registered for the same device, site, sex and ancestry;
        otherwise that is refused.

    Raises
    ------
    ReferenceValueError
        Values are missing or impossible, bands overlap, or the key is registered.

    Examples
    --------
    >>> import pandas as pd
    >>> forget_references()
    >>> row = {"device": "d1", "site": "radius_third", "sex": "F", "ancestry": "white", "source": "site's own"}
    >>> bands = pd.DataFrame({"age_low": [20, 50], "age_high": [30, 60], "mean": [0.69, 0.65], "sd": 0.05})
    >>> register_reference(bands.assign(young_adult=[True, False], **row))
    >>> round(t_score(0.59, device="d1", site="radius_third", sex="F", ancestry="white"), 2)
    -2.0
    >>> round(z_score(0.59, 55, device="d1", site="radius_third", sex="F", ancestry="white"), 2)
    -1.2
    >>> forget_references()
    """
    new = _read(table)
    known = sorted(set(new) & set(_REGISTERED))
    if known and not replace:
        raise ReferenceValueError(
            f"reference values for {_named(known[0])} are registered, source "
            f"{shown(_REGISTERED[known[0]]['source'].iloc[0])}; replace=True puts these in their place"
        )
    _REGISTERED.update(new)


def forget_references() -> None:
    """Empty the registry of reference values.

    Examples
    --------
    >>> forget_references()
    >>> len(registered_references())
    0
    """
    _REGISTERED.clear()


def registered_references() -> pd.DataFrame:
    """All reference values registered, one row per age band.

    Returns
    -------
    DataFrame
        Columns of :func:`register_reference`.

    Examples
    --------
    >>> list(registered_references().columns)[:4]
    ['device', 'site', 'sex', 'ancestry']
    """
    columns = [*COLUMNS, "young_adult"]
    tables = list(_REGISTERED.values())
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def t_score(values: Any, *, device: Any, site: str, sex: str, ancestry: str) -> Any:
    r"""Standard deviations from the mean of young adults.

    Parameters
    ----------
    values : float or (n,) array_like
        Measured, in the unit of the reference. Missing stays missing.
    device : str or (n,) array_like
        The device that measured. Values of another device have to be brought to its scale
        first (:func:`cross_calibrate`).
    site : str
        Of the skeleton, as registered.
    sex, ancestry : str
        Of the reference, not of the person: ISCD refers women and men of all
        ancestries to White women ("F").

    Returns
    -------
    float or (n,) ndarray

    Raises
    ------
    ReferenceValueError
        Nothing is registered for the device, site, sex and ancestry, or no row is
        marked as that of young adults.

    Notes
    -----
    :math:`T = (x - \mu_{YA}) / \sigma_{YA}`.

    References
    ----------
    Shuhart CR et al. J Clin Densitom 2019;22:453-471. doi:10.1016/j.jocd.2019.07.001

    Examples
    --------
    >>> t_score(0.6, device="d1", site="radius_third", sex="F", ancestry="white")
    Traceback (most recent call last):
    ...
    dxa_causal._core.errors.ReferenceValueError: no reference values for device 'd1' ...
    """
    measured = read_numbers(np.atleast_1d(np.asarray(values)), "values")
    columns = _columns(measured.size, device=device, site=site, sex=sex, ancestry=ancestry)
    score = np.empty(measured.size)
    for key, rows in _by_key(columns):
        bands = _find(key, rows)
        young = bands[bands["young_adult"]]
        if young.empty:
            raise ReferenceValueError(
                f"the reference for {_named(key)} marks no row as young_adult, which a T-score needs"
            )
        score[rows] = (measured[rows] - young["mean"].iloc[0]) / young["sd"].iloc[0]
    return float(score[0]) if np.ndim(values) == 0 else score


def z_score(values: Any, age: Any, *, device: Any, site: str, sex: Any, ancestry: Any) -> Any:
    r"""Standard deviations from the mean of people of the same age, sex and ancestry.

    Parameters
    ----------
    values : float or (n,) array_like
        Measured, in the unit of the reference. Missing stays missing.
    age : float or (n,) array_like
        Years. Missing gives a missing score.
    device : str or (n,) array_like
        The device that measured.
    site : str
        Of the skeleton, as registered.
    sex, ancestry : str or (n,) array_like
        Of the person.

    Returns
    -------
    float or (n,) ndarray

    Raises
    ------
    ReferenceValueError
        Nothing is registered for a device, site, sex and ancestry, or no band holds an age.

    Notes
    -----
    :math:`Z = (x - \mu) / \sigma` of the band with ``age_low <= age < age_high``. The row
    marked young_adult stands in only where no other band holds the age.

    References
    ----------
    Shuhart CR et al. J Clin Densitom 2019;22:453-471. doi:10.1016/j.jocd.2019.07.001

    Examples
    --------
    >>> z_score(0.6, 55, device="d1", site="radius_third", sex="F", ancestry="white")
    Traceback (most recent call last):
    ...
    dxa_causal._core.errors.ReferenceValueError: no reference values for device 'd1' ...
    """
    measured = read_numbers(np.atleast_1d(np.asarray(values)), "values")
    years = read_numbers(np.atleast_1d(np.asarray(age)), "age")
    if years.size not in (1, measured.size):
        raise MeasurementError(f"age has {years.size} values for {measured.size} measured; allowed are one or as many")
    years = np.broadcast_to(years, measured.shape)
    columns = _columns(measured.size, device=device, site=site, sex=sex, ancestry=ancestry)
    score = np.empty(measured.size)
    for key, rows in _by_key(columns):
        bands = _find(key, rows).sort_values("young_adult", kind="stable")
        here = years[rows]
        inside = (here[:, None] >= bands["age_low"].to_numpy()) & (here[:, None] < bands["age_high"].to_numpy())
        outside = np.flatnonzero(~inside.any(axis=1) & ~np.isnan(here))
        if outside.size:
            raise ReferenceValueError(
                f"age {here[outside[0]]:g} in row {rows[outside[0]]} lies in no band of the reference for "
                f"{_named(key)}, which has {_ranges(bands)}"
            )
        which = inside.argmax(axis=1)
        found = (measured[rows] - bands["mean"].to_numpy()[which]) / bands["sd"].to_numpy()[which]
        score[rows] = np.where(np.isnan(here), np.nan, found)
    return float(score[0]) if np.ndim(values) == 0 else score


def _read(table: Any) -> Bands:
    frame = to_pandas(table)
    for name in COLUMNS:
        if name not in frame.columns:
            raise column_not_found(name, frame.columns, argument="table")
    frame = plain_types(frame[[c for c in (*COLUMNS, "young_adult") if c in frame.columns]])
    for name in (*KEY, *NUMBERS, "source"):
        absent = np.flatnonzero(frame[name].isna() | (frame[name].astype(str).str.strip() == ""))
        if absent.size:
            raise ReferenceValueError(
                f"column {name!r} is missing in row {shown(frame.index[absent[0]])}; all rows need it"
            )
    frame = frame.assign(**{n: read_numbers(frame[n], f"column {n!r}") for n in NUMBERS})
    frame = frame.assign(**{n: frame[n].astype(str) for n in (*KEY, "source")})
    young = frame["young_adult"] if "young_adult" in frame else pd.Series(False, index=frame.index)
    if not young.isin([True, False]).all():
        raise ReferenceValueError(f"column 'young_adult' holds {young.dtype} values; allowed are true and false")
    frame = frame.assign(young_adult=young.astype(bool))
    for wrong, what in (
        (frame["age_low"] >= frame["age_high"], "age_low is not below age_high"),
        (frame["age_low"] < 0, "age_low is negative"),
        (frame["sd"] <= 0, "sd is not positive"),
    ):
        if wrong.any():
            raise ReferenceValueError(f"row {shown(frame.index[np.flatnonzero(wrong)[0]])}: {what}")
    bands = {tuple(map(str, key)): part for key, part in frame.groupby(list(KEY), sort=False)}
    if not bands:
        raise ReferenceValueError("the table has no rows; it needs one per age band")
    for key, part in bands.items():
        _check_bands(key, part)
    return {key: part.reset_index(drop=True) for key, part in bands.items()}


def _check_bands(key: tuple[str, ...], part: pd.DataFrame) -> None:
    if part["young_adult"].sum() > 1:
        rows = ", ".join(shown(i) for i in part.index[part["young_adult"]])
        raise ReferenceValueError(f"{_named(key)}: rows {rows} are all marked young_adult; allowed is one")
    ordered = part[~part["young_adult"]].sort_values("age_low")
    overlap = np.flatnonzero(ordered["age_low"].to_numpy()[1:] < ordered["age_high"].to_numpy()[:-1])
    if overlap.size:
        one, two = ordered.index[overlap[0]], ordered.index[overlap[0] + 1]
        raise ReferenceValueError(f"{_named(key)}: the age bands of rows {shown(one)} and {shown(two)} overlap")


def _columns(n: int, **given: Any) -> pd.DataFrame:
    """Labels, one row per value measured."""
    columns = {}
    for name, labels in given.items():
        found = np.atleast_1d(np.asarray(labels, dtype=object))
        if found.size not in (1, n):
            raise MeasurementError(f"{name} has {found.size} values for {n} measured; allowed are one or as many")
        if pd.isna(found).any():
            raise ReferenceValueError(
                f"{name} is missing in row {int(np.flatnonzero(pd.isna(found))[0])}; it must be known"
            )
        columns[name] = np.broadcast_to(found, (n,)).astype(str)
    return pd.DataFrame(columns)


def _by_key(columns: pd.DataFrame) -> list[tuple[tuple[str, ...], npt.NDArray[np.intp]]]:
    groups = columns.groupby(list(KEY), sort=False).indices
    return [(tuple(map(str, key)), np.asarray(rows)) for key, rows in groups.items()]


def _find(key: tuple[str, ...], rows: npt.NDArray[np.intp]) -> pd.DataFrame:
    """The bands of a key; what does not match is named, with what is registered."""
    if key in _REGISTERED:
        return _REGISTERED[key]
    candidates = list(_REGISTERED)
    for i, name in enumerate(KEY):
        allowed = sorted({k[i] for k in candidates})
        if key[i] not in allowed:
            near = nearest(key[i], allowed, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            known = f"registered: {', '.join(map(repr, allowed))}" if allowed else "none is registered"
            before = f" of {_named(key[:i])}" if i else ""
            raise ReferenceValueError(
                f"no reference values for {name} {key[i]!r}{before} (row {rows[0]}){hint}; {known}. Register the "
                "device's own with register_reference(table): those of another are not put in their place"
            )
        candidates = [k for k in candidates if k[i] == key[i]]
    raise AssertionError("a key whose every part matches is registered")


def _named(key: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {part!r}" for name, part in zip(KEY, key))


def _ranges(bands: pd.DataFrame) -> str:
    ordered = bands.sort_values("age_low")
    return ", ".join(f"{low:g}-{high:g}" for low, high in zip(ordered["age_low"], ordered["age_high"]))
