"""The daemons as twistd commands. Each module is imported when its command is chosen, and not before."""

from twisted.application.service import ServiceMaker

store = ServiceMaker(
    "pythanos store",
    "pythanos.daemons.store",
    "pythanos store gateway: serves the blocks of a bucket over gRPC.",
    "pythanos-store",
)

query = ServiceMaker(
    "pythanos query",
    "pythanos.daemons.query",
    "pythanos querier: PromQL over HTTP, answered from many StoreAPIs.",
    "pythanos-query",
)

all_in_one = ServiceMaker(
    "pythanos",
    "pythanos.daemons.all_in_one",
    "pythanos in one process: a bucket's blocks, PromQL over them, and pages.",
    "pythanos",
)
