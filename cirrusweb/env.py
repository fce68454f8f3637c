"""Readers that turn environment text into settings values; they read no files and know no Django model."""

from urllib.parse import parse_qs, urlsplit


def broker_url(redis_url: str) -> str:
    """Celery's address of the Redis at ``redis_url``.

    redis-py spells a socket ``unix:///path?db=1`` and Celery ``redis+socket:///path?virtual_host=1``;
    every other address means the same to both.
    """
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}?virtual_host={database}"
