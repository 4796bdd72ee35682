"""The daemons as twistd commands. Each module is imported when its command is chosen, and not before."""

import gc

from twisted.application.service import ServiceMaker


class Daemon(ServiceMaker):
    """A daemon, whose modules are imported without looking for garbage, a tenth of the time: there is none in them."""

    @property
    def options(self) -> type:
        gc.disable()
        try:
            return super().options
        finally:
            gc.enable()


store = Daemon(
    "pythanos store",
    "pythanos.daemons.store",
    "pythanos store gateway: serves the blocks of a bucket over gRPC.",
    "pythanos-store",
)

query = Daemon(
    "pythanos query",
    "pythanos.daemons.query",
    "pythanos querier: PromQL over HTTP, answered from many StoreAPIs.",
    "pythanos-query",
)

all_in_one = Daemon(
    "pythanos",
    "pythanos.daemons.all_in_one",
    "pythanos in one process: a bucket's blocks, PromQL over them, and pages.",
    "pythanos",
)
