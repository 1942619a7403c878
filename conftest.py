"""What holds for all tests."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # No test depends on how fast a machine is.
settings.load_profile("untimed")
