"""The bound of what the server holds."""

from analytics.serve.cache import BoundedCache, RecordCache


def test_least_recently_used_leaves_first():
    cache = BoundedCache(30)
    for key in "abc":
        cache.put(key, key.upper(), 10)
    assert cache.get("a") == "A"
    cache.put("d", "D", 10)
    assert [cache.get(key) for key in "abcd"] == ["A", None, "C", "D"]
    assert cache.nbytes == 30 and len(cache) == 3


def test_putting_again_replaces_and_counts_once():
    cache = BoundedCache(30)
    cache.put("a", 1, 10)
    cache.put("a", 2, 20)
    assert (cache.get("a"), cache.nbytes, len(cache)) == (2, 20, 1)


def test_newest_stays_even_where_it_is_too_large():
    cache = BoundedCache(30)
    cache.put("a", 1, 10)
    cache.put("b", 2, 50)
    assert cache.get("a") is None and cache.get("b") == 2


def test_records_are_held_by_id(other):
    records = RecordCache(2500)
    for name in ("one", "two", "three"):
        records.put(other(name))
    assert records.get("one") is None and records.get("three").id == "three"
    assert records.nbytes == 2000 and len(records) == 2
