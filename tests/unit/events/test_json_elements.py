"""The quick way through a faultless array gives the very same as the careful way."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rekindle.events import json_elements
from rekindle.events.json_elements import split_array

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def carefully(text: str) -> list[tuple[int, Any, str]]:
    with patch.object(json_elements, "_split_faultless", return_value=[]):
        return list(split_array(text))


@settings(max_examples=250, deadline=None)
@given(
    text=st.builds(
        lambda elements, indent, is_ascii: json.dumps(elements, indent=indent, ensure_ascii=is_ascii),
        st.lists(values, max_size=5),
        st.none() | st.integers(0, 2),
        st.booleans(),
    )
    | st.text(alphabet='[]{},:"\\u0d8 \n1e.-NaIfty')
)
@example(text='[{"a":1,"a":2},  {"b":1e2}\r\n]')
@example(text='[{"timestamp":123456789012345678901234567890},{"timestamp":1e400}]')
@example(text='[{"email":"\\ud800"}]')
@example(text="[" * 3_000)
@example(text="[{}" + ",{}" * 3 + ",]")
def test_the_quick_way_gives_what_the_careful_way_gives(text: str) -> None:
    assert repr(list(split_array(text))) == repr(carefully(text))


def test_a_faultless_array_takes_the_quick_way() -> None:
    with patch.object(json_elements, "_elements", side_effect=AssertionError("the careful way")):
        assert list(split_array('[{"event": "open"},\n 7]')) == [
            (1, {"event": "open"}, '{"event": "open"}'),
            (2, 7, "7"),
        ]
    with (
        pytest.raises(AssertionError, match="the careful way"),
        patch.object(json_elements, "_elements", side_effect=AssertionError("the careful way")),
    ):
        list(split_array('[{"event": NaN}]'))
