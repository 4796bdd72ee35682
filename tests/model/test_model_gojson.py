import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pythanos.model.gojson import go_json, sort_keys


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (1.5, "1.5"),
        (1e20, "100000000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (-1.25e22, "-1.25e+22"),
        (1e-6, "0.000001"),
        (1.5e-5, "0.000015"),
        (9.5e-7, "9.5e-7"),
        (5e-324, "5e-324"),
        (True, "true"),
        (None, "null"),
        (2**64, "18446744073709551616"),
        ({}, "{}"),
        ([], "[]"),
        ({"a": [1, {"b": ()}]}, '{"a":[1,{"b":[]}]}'),
        ("<>&\u2028\x7f\x00\b\f/", '"\\u003c\\u003e\\u0026\\u2028\x7f\\u0000\\b\\f/"'),
        ("\udcff", '"\\ufffd"'),
    ],
)
def test_values_are_printed_as_go_prints_them(value, text):
    assert go_json(value) == text


def test_indented_as_marshal_indent_does():
    assert go_json({"a": {}, "b": [1, 2], "c": {"d": "x"}}, indent="\t") == (
        '{\n\t"a": {},\n\t"b": [\n\t\t1,\n\t\t2\n\t],\n\t"c": {\n\t\t"d": "x"\n\t}\n}'
    )


def test_maps_are_sorted_by_the_bytes_of_their_keys():
    assert list(sort_keys({"é": 1, "z": {"b": 1, "a": 2}, "B": 3})) == ["B", "z", "é"]
    assert list(sort_keys({"z": {"b": 1, "a": 2}})["z"]) == ["a", "b"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_json_has_no_form_for_is_an_error(value):
    with pytest.raises(ValueError):
        go_json([value])
    with pytest.raises(TypeError):
        go_json({1, 2})


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON, st.sampled_from(["", "\t", "  "]))
def test_every_value_survives(value, indent):
    """Large whole numbers without exponent and point, so a reader has to take numbers for floats, as Go does."""
    assert json.loads(go_json(value, indent=indent), parse_int=float) == value
