"""AgileCloud: an OpenAI-compatible API with batches, files and prompt templates."""

from mockserver.providers.agilecloud.hooks import api

__all__ = ["api"]
