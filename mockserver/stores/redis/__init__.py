"""A store in a Redis or Valkey database: the backend, and its scripts."""

from mockserver.stores.redis.backend import RedisBackend

__all__ = ["RedisBackend"]
