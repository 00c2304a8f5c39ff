"""A thin client of the OpenGWAS database; nothing else in the package needs it or the network."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

import pandas as pd

from dxa_causal._core.errors import SummaryStatisticsError

SERVER = "https://api.opengwas.io/api"
TOKEN = "OPENGWAS_JWT"  # the variable that ieugwasr reads too

_NAMES = {
    "rsid": "variant",
    "chr": "chromosome",
    "position": "position",
    "ea": "effect_allele",
    "nea": "other_allele",
    "eaf": "eaf",
    "beta": "beta",
    "se": "se",
    "p": "p_value",
    "n": "n",
    "id": "study",
    "trait": "trait",
}


def opengwas_instruments(
    study: str,
    *,
    p_threshold: float = 5e-8,
    clump: bool = True,
    r2: float = 0.001,
    kb: int = 10_000,
    server: str = SERVER,
    token: str | None = None,
    timeout: float = 60.0,
) -> pd.DataFrame:
    """Ask OpenGWAS for the variants most strongly associated with a trait.

    Parameters
    ----------
    study : str
        Identifier in OpenGWAS, for instance "ieu-a-2".
    p_threshold : float
    clump : bool
        Keep one variant per region (r2, kb), done by the server.
    r2 : float
    kb : int
    server : str
        Address of the service.
    token : str, optional
        Your token; the environment variable OPENGWAS_JWT when omitted.
    timeout : float
        Seconds to wait for an answer.

    Returns
    -------
    DataFrame
        Columns as :func:`dxa_causal.mr.harmonise` reads them.

    Raises
    ------
    SummaryStatisticsError
        No token, no connection, or the server refuses; its words are passed on.

    Notes
    -----
    Save what you get with the date: the database changes, and a study has to be
    repeated from files. Everything else works without it.

    References
    ----------
    Elsworth B et al. The MRC IEU OpenGWAS data infrastructure. bioRxiv 2020. doi:10.1101/2020.08.10.244293
    """
    question = {"id": [study], "pval": p_threshold, "preclumped": 0, "clump": int(clump), "r2": r2, "kb": kb}
    return _frame(_post(f"{server}/tophits", question, token, timeout), study)


def opengwas_associations(
    variants: Sequence[str],
    study: str,
    *,
    server: str = SERVER,
    token: str | None = None,
    timeout: float = 60.0,
) -> pd.DataFrame:
    """Ask OpenGWAS for the associations of given variants with a trait.

    Parameters
    ----------
    variants : sequence of str
        rs numbers; those the study lacks are simply not in the answer, and
        the audit of :func:`dxa_causal.mr.harmonise` names them. No proxies.
    study : str
        Identifier in OpenGWAS, for instance "ieu-a-7".
    server : str
    token : str, optional
        Your token; the environment variable OPENGWAS_JWT when omitted.
    timeout : float
        Seconds to wait for an answer.

    Returns
    -------
    DataFrame
        Columns as :func:`dxa_causal.mr.harmonise` reads them.

    Raises
    ------
    SummaryStatisticsError
        No token, no connection, or the server refuses; its words are passed on.

    References
    ----------
    Elsworth B et al. The MRC IEU OpenGWAS data infrastructure. bioRxiv 2020. doi:10.1101/2020.08.10.244293
    """
    question = {"variant": list(variants), "id": [study], "proxies": 0}
    return _frame(_post(f"{server}/associations", question, token, timeout), study)


def _post(address: str, question: dict[str, Any], token: str | None, timeout: float) -> Any:
    token = token or os.environ.get(TOKEN, "")
    if not token:
        raise SummaryStatisticsError(
            f"OpenGWAS wants a token: get one at https://api.opengwas.io and put it into the variable {TOKEN}, "
            "or download the file of the study and use mr.read_gwas"
        )
    request = urllib.request.Request(
        address,
        data=json.dumps(question).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        said = error.read().decode("utf-8", "replace")[:300]
        raise SummaryStatisticsError(f"OpenGWAS refused ({error.code} {error.reason}): {said}") from None
    except (OSError, ValueError) as error:
        raise SummaryStatisticsError(f"OpenGWAS cannot be reached at {address}: {error}") from None


def _frame(answer: Any, study: str) -> pd.DataFrame:
    if not isinstance(answer, list):
        raise SummaryStatisticsError(f"OpenGWAS did not send a table for {study!r}: {str(answer)[:300]}")
    if not answer:
        raise SummaryStatisticsError(f"OpenGWAS has no such associations in {study!r}; is the identifier right?")
    table = pd.DataFrame(answer)
    return table[[name for name in _NAMES if name in table]].rename(columns=_NAMES)
