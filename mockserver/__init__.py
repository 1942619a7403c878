"""mockserver: a sandbox that stands in for two batch LLM APIs."""

__version__ = "0.1.0"
