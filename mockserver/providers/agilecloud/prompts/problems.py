"""Errors of prompt templates."""


class TemplateError(Exception):
    """A template that cannot be parsed or rendered; the message tells its author why."""

    def __init__(self, kind: str, message: str, *, variable: str = "") -> None:
        """`kind` is `syntax`, `missing_variable`, `unsafe` or `too_much`; `variable` is the name that is missing."""
        super().__init__(message)
        self.kind = kind
        self.variable = variable


TOO_MUCH = "The template does too much: its loops or texts are too large."
