"""Tables within the width of a terminal."""

import pytest

from watchword.cli.tables import Column, lay_out, lay_out_fields

KID = "uHqD72UwxAfzMczPWXz8ElyO_fDgGrwzkM0TWHMmXWc"
COLUMNS = (Column("id"), Column("scopes", "words"), Column("for", "words"))
ROW = (KID, "orders:read orders:write orders:cancel", "https://orders.example.com")


def test_columns_are_as_wide_as_what_is_in_them():
    """The last one ends where its text does."""
    assert lay_out(COLUMNS, [("a", "read write", ""), ("bcd", "x", "yz")], None) == [
        "id   scopes      for",
        "a    read write",
        "bcd  x           yz",
    ]
    assert lay_out(COLUMNS, [], 20) == ["id  scopes  for"]


@pytest.mark.parametrize("width", [20, 60, 80, 86, 90, 100, 110, 120, 200])
def test_no_id_is_cut_and_every_line_fits_if_words_can(width):
    """Columns of words go on below; where not even that is enough, names stand before values."""
    lines = lay_out(COLUMNS, [ROW, ROW], width)
    assert sum(line.count(KID) for line in lines) == 2
    assert " ".join(lines).count("orders:write") == 2
    assert " ".join(lines).count("https://orders.example.com") == 2
    needed = max(map(len, (*ROW[1].split(), ROW[2], KID))) + len("scopes  ")
    assert all(len(line) <= max(width, needed) for line in lines)


def test_the_widest_column_of_words_is_narrowed():
    """Others are left as they are."""
    assert lay_out(COLUMNS, [("a", "read write cancel", "x y")], 17) == [
        "id  scopes    for",
        "a   read      x y",
        "    write",
        "    cancel",
    ]


def test_a_row_that_fits_no_line_is_a_list_of_names_and_values():
    """Values that are not there are left out."""
    row = (KID, "", "https://orders.example.com")
    assert lay_out(COLUMNS, [row, ("b", "read", "x")], 60) == [
        f"id   {KID}",
        "for  https://orders.example.com",
        "",
        "id      b",
        "scopes  read",
        "for     x",
    ]


def test_wide_characters_take_two_places():
    """And those that combine take none."""
    columns = (Column("name"), Column("x"))
    lines = lay_out(columns, [("漢字", "1"), ("e\u0301", "2")], None)
    assert lines == ["name  x", "漢字  1", "e\u0301     2"]


def test_fields_go_on_below_their_value():
    """Between two words only."""
    assert lay_out_fields([("grants", "a:read b:write c"), ("kid", KID)], 18) == [
        "grants  a:read",
        "        b:write c",
        f"kid     {KID}",
    ]
    assert lay_out_fields([], 80) == []
