"""Message and client classes made from .proto text while the tests run, so that nothing of ours is in them."""

from pathlib import Path
from types import SimpleNamespace

import grpc
import grpc_tools
from google.protobuf import descriptor, descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"


def generate(name: str, text: str, folder: Path) -> tuple[SimpleNamespace, SimpleNamespace]:
    """The messages of a .proto file called ``name``, and ``<Service>Stub`` for each of its services.

    They live in a descriptor pool of their own: the names of messages are those of pythanos' own modules.
    """
    (folder / f"{name}.proto").write_text(text)
    described = folder / f"{name}.pb"
    argv = ["protoc", f"-I{folder}", f"-I{WELL_KNOWN}", "--include_imports", f"--descriptor_set_out={described}"]
    if protoc.main([*argv, f"{name}.proto"]):
        raise ValueError(f"protoc refused {name}.proto")
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(described.read_bytes()).file:
        pool.Add(file)
    found = pool.FindFileByName(f"{name}.proto")
    messages = {each.name: message_factory.GetMessageClass(each) for each in found.message_types_by_name.values()}
    stubs = {f"{each.name}Stub": _stub(each) for each in found.services_by_name.values()}
    return SimpleNamespace(**messages), SimpleNamespace(**stubs)


def _stub(service: descriptor.ServiceDescriptor):
    """What makes a client of the service from a channel."""

    def connect(channel: grpc.Channel) -> SimpleNamespace:
        return SimpleNamespace(**{method.name: _call(channel, service, method) for method in service.methods})

    return connect


def _call(channel: grpc.Channel, service: descriptor.ServiceDescriptor, method: descriptor.MethodDescriptor):
    opened = channel.unary_stream if method.server_streaming else channel.unary_unary
    return opened(
        f"/{service.full_name}/{method.name}",
        request_serializer=message_factory.GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )
