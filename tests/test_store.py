"""Fingerprints tell values apart and nothing else; generators go on where they were."""

import numpy as np
import pyarrow as pa

from umap_sweep import store


def test_fingerprint_does_not_depend_on_chunks():
    text = pa.array(["a", None, "bc", "", None, "d"])
    numbers = pa.array([1.5, None, float("nan"), 0.0, None, 2.0])
    whole = pa.table({"text": text, "numbers": numbers})
    cut = pa.table(
        {
            "text": pa.chunked_array([text[:2], text[2:]]),
            "numbers": pa.chunked_array([numbers[:1], numbers[1:5], numbers[5:]]),
        }
    )
    assert store.fingerprint(whole) == store.fingerprint(cut)


def test_fingerprint_tells_values_apart():
    tables = [
        {"x": [1.0, 2.0]},
        {"x": [2.0, 1.0]},
        {"y": [1.0, 2.0]},
        {"x": [1, 2]},
        {"x": [1.0, np.nextafter(2.0, 3.0)]},
        {"x": [0.0, 2.0]},
        {"x": [-0.0, 2.0]},
        {"x": [None, 2.0]},
        {"x": ["ab", "c"]},
        {"x": ["a", "bc"]},
        {"x": ["", "abc"]},
        {"x": [None, "abc"]},
    ]
    fingerprints = [store.fingerprint(pa.table(columns)) for columns in tables]
    assert len(set(fingerprints)) == len(tables)
    assert store.fingerprint(pa.table(tables[0]), rng_state=[1]) != fingerprints[0]


def test_fingerprint_survives_the_file(tmp_path):
    values = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(40_000, dtype=np.float32)), 4)
    table = pa.table({"id": [f"row {i}" for i in range(10_000)], "features": values})
    record = store.make_record("data", {}, store.fingerprint(table))
    store.write(tmp_path / "data.parquet", table, record)
    assert store.fingerprint(store.read(tmp_path / "data.parquet")) == record["fingerprint"]
    assert np.array_equal(store.read_features(tmp_path / "data.parquet").ravel(), np.arange(40_000))


def test_generator_goes_on_where_it_was():
    random_state = np.random.RandomState(3)
    random_state.normal(size=7)  # an odd number leaves a normal in store
    again = store.random_state_from(store.state_of(random_state))
    assert np.array_equal(again.normal(size=5), random_state.normal(size=5))
    assert np.array_equal(again.randint(0, 10**6, 5), random_state.randint(0, 10**6, 5))


def test_rows_written_in_groups_are_those_written_at_once(tmp_path):
    rows = np.random.default_rng(0).integers(0, 65536, (7, 5)).astype(np.uint16)
    groups = [rows[:3], rows[3:6], rows[6:]]
    path, whole = tmp_path / "groups.parquet", pa.table({"ranks": store.binary_rows(rows)})
    store.write_binary_rows(path, "ranks", 7, groups, lambda values: store.make_record("ranked", {"of": 5}, values))
    record = store.read_record(path)
    assert (record["stage"], record["key"]) == ("ranked", {"of": 5})
    assert record["fingerprint"] == store.fingerprint(whole) == store.fingerprint_of(path)
    assert store.read(path).equals(whole)
    for read, written in zip(store.read_binary_rows(path, "ranks", "<u2"), groups, strict=True):
        np.testing.assert_array_equal(read, written)


def test_booleans_are_read_bit_by_bit_wherever_a_column_begins():
    values = np.random.default_rng(0).random(1000) > 0.5
    column = pa.array(values)
    for start in (0, 1, 8, 13, 999):
        read = store.numbers(column[start:])
        assert read.dtype == np.bool_
        np.testing.assert_array_equal(read, values[start:])
    whole = pa.table({"held": column})
    parts = pa.table({"held": pa.chunked_array([column[:13], column[13:]])})
    assert store.fingerprint(parts) == store.fingerprint(whole)
