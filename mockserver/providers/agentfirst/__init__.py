"""Agent First: batches of prompts, single conversations, archives."""

from mockserver.providers.agentfirst.operations import api

__all__ = ["api"]
