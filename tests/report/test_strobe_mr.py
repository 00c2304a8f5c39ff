"""The checklist has every item, keeps what is known and marks the rest."""

import pytest

from dxa_causal._core.errors import OptionError
from dxa_causal.report.strobe_mr import BLANK, strobe_mr


def test_twenty_items():
    table = strobe_mr()
    numbers = table["item"].str.extract(r"^(\d+)")[0].astype(int)
    assert numbers.unique().tolist() == list(range(1, 21))
    assert table["item"].is_unique
    assert (table["found"] == BLANK).all()


def test_known_items_are_filled():
    table = strobe_mr({"4b": "n = 10"}).set_index("item")
    assert table.loc["4b", "found"] == "n = 10"
    assert (table["found"] == BLANK).sum() == len(table) - 1


def test_an_unknown_item_is_refused():
    with pytest.raises(OptionError, match="99"):
        strobe_mr({"99": "x"})
