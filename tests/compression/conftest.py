"""The first call of a compiled pass compiles it: no deadlines."""

from hypothesis import settings

settings.register_profile("compiled", deadline=None)
settings.load_profile("compiled")
