"""Builds the Cython kernels. Everything else is declared in pyproject.toml.

PYTHANOS_EXT=_chunks,_index   build only these kernels (a quick rebuild while working on one); none: none
PYTHANOS_DEBUG_KERNELS=1      bounds checks and assertions on, -O1, symbols
PYTHANOS_SANITIZE=address     AddressSanitizer build (run Python with the asan runtime preloaded)
"""

import os
import platform
import re
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

PACKAGE = Path("pythanos")
DEBUG = os.environ.get("PYTHANOS_DEBUG_KERNELS") == "1"
SANITIZE = os.environ.get("PYTHANOS_SANITIZE", "")
SHARED = "pythanos._cyutility"
INCLUDE = re.compile(r'^#include "(\w+\.h)"', re.MULTILINE)
ONLY = [name for name in os.environ.get("PYTHANOS_EXT", "").split(",") if name]


def compile_args() -> list[str]:
    """-ffp-contract=off: results must not depend on which CPU fused a multiply and an add."""
    args = ["-O1", "-g"] if DEBUG or SANITIZE else ["-O3", "-g0"]
    args += ["-ffp-contract=off", "-fno-strict-aliasing", "-Wno-unused-function"]
    if platform.machine() == "x86_64":
        args += ["-march=x86-64-v2"]
    if SANITIZE:
        args += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer"]
    return args


def kernels() -> list[Extension]:
    """One extension a kernel, and one for the memoryview code of which each would otherwise hold a copy."""
    names = sorted(path.stem for path in PACKAGE.glob("_*.pyx"))
    if not names:
        raise FileNotFoundError("no kernel sources: this is not a whole source tree")
    wanted = [kernel(f"pythanos.{name}", f"{name}.pyx") for name in names if not ONLY or name in ONLY]
    return [*wanted, kernel(SHARED, "_cyutility.c")] if wanted else []


def kernel(name: str, source: str) -> Extension:
    return Extension(
        name,
        [str(PACKAGE / source)],
        include_dirs=[numpy.get_include(), str(PACKAGE)],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        extra_compile_args=compile_args(),
        extra_link_args=[f"-fsanitize={SANITIZE}"] if SANITIZE else [],
    )


def translated() -> list[Extension]:
    """The kernels as C, each depending on all headers of ours: Cython knows those that its sources name itself."""
    extensions: list[Extension] = cythonize(
        kernels(),
        shared_utility_qualified_name=SHARED,
        nthreads=os.cpu_count() or 1,
        compiler_directives={
            "language_level": 3,
            "embedsignature": True,
            "boundscheck": DEBUG,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": False,
        },
    )
    for extension in extensions:
        extension.depends = sorted(with_included(extension.depends))
    return extensions


def with_included(headers: list[str]) -> set[str]:
    """The headers, and what they include."""
    found: set[str] = set()
    left = list(headers)
    while left:
        header = left.pop()
        if header not in found:
            found.add(header)
            left += [str(PACKAGE / name) for name in INCLUDE.findall(Path(header).read_text(encoding="utf-8"))]
    return found


setup(
    ext_modules=translated(),
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
