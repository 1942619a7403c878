"""Drift: where a live API answers otherwise than the document says and the sandbox does."""
