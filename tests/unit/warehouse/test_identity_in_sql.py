"""Ids and hashes made in SQL are those of `rekindle.identity`, whatever the text."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rekindle.identity import address_hash, entry_id, message_id, stable_id
from rekindle.warehouse.dialect import DUCKDB

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as opened:
        yield opened


def id_in_sql(connection, *parts: str) -> str:
    names = [f"${chr(97 + number)}" for number in range(len(parts))]
    digest = DUCKDB.context()["stable_id_digest"](*names)
    uuid = DUCKDB.context()["uuid_of_digest"]("digest")
    values = {name[1:]: part for name, part in zip(names, parts, strict=True)}
    return connection.execute(
        f"with digests as (select {digest} as digest) select {uuid} from digests", values
    ).fetchone()[0]


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(text, min_size=1, max_size=4))
def test_a_stable_id_is_the_same_in_sql_and_in_python(connection, parts):
    assert id_in_sql(connection, *parts) == stable_id(*parts)


def test_the_ids_of_entries_and_messages_are_the_ones_that_were_ever_minted(connection):
    entry = entry_id("campaign", "Ünïcødé 🙂", "2026-01-12")
    assert entry == id_in_sql(connection, "campaign", "Ünïcødé 🙂", "2026-01-12")
    assert entry_id("cold_lead_reengagement", "lead-1", "2026-01-12") == stable_id(
        "cold_lead_reengagement", "lead-1", "2026-01-12"
    )
    assert message_id(entry, "probe", "attempt-1", "email") == id_in_sql(
        connection, entry, "probe", "attempt-1", "email"
    )
    # frozen: a change of this value would send everything again
    assert stable_id("a", "b") == "55dc0ee5-e573-5d7b-8c0f-1b2249bad70e"


@settings(max_examples=150, deadline=None)
@given(address=text)
def test_an_address_hash_is_the_same_in_sql_and_in_python(connection, address):
    normalised = address.strip().lower()
    expression = DUCKDB.sha256_hex.format(expression="$address")
    assert connection.execute(f"select {expression}", {"address": normalised}).fetchone()[0] == address_hash(address)


@settings(max_examples=100, deadline=None)
@given(words=text)
def test_a_hash_fraction_is_the_first_32_bits_of_the_hash(connection, words):
    fraction = connection.execute(f"select {DUCKDB.context()['hash_fraction']('$words')}", {"words": words}).fetchone()[
        0
    ]
    digits = connection.execute("select sha256($words)", {"words": words}).fetchone()[0][:8]
    assert fraction == int(digits, 16) / 2**32
    assert 0 <= fraction < 1


def test_a_null_part_gives_no_id_rather_than_a_wrong_one(connection):
    digest = DUCKDB.context()["stable_id_digest"]("'campaign'", "cast(null as varchar)")
    assert connection.execute(f"select {digest}").fetchone()[0] is None
