"""Message and client classes generated from .proto text while the tests run, so that nothing of ours is in them."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import grpc_tools
from grpc_tools import protoc

WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"


def generate(name: str, text: str, folder: Path, *, services: bool = False) -> tuple[ModuleType, ModuleType | None]:
    """The messages of a .proto file called ``name``, and its stubs where it has services."""
    (folder / f"{name}.proto").write_text(text)
    argv = ["protoc", f"-I{folder}", f"-I{WELL_KNOWN}", f"--python_out={folder}"]
    if services:
        argv.append(f"--grpc_python_out={folder}")
    if protoc.main([*argv, f"{name}.proto"]):
        raise ValueError(f"protoc refused {name}.proto")
    messages = _load(f"{name}_pb2", folder)
    return messages, _load(f"{name}_pb2_grpc", folder) if services else None


def _load(name: str, folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    # The stubs import the messages by name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
