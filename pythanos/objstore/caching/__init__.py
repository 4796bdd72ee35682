"""A bucket that remembers what it was asked: ``bucket`` over ``memory_cache``, chosen by ``opening``."""
