"""The allocator takes the settings, and keeps serving memory of every size."""

import platform

from pythanos.runtime.allocator import keep_freed_memory


def test_glibc_accepts_every_setting():
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
    assert [len(bytearray(size)) for size in (1, 1 << 20, 40 << 20)] == [1, 1 << 20, 40 << 20]
