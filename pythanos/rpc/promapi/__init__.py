"""The services Metadata, Targets, Rules, Exemplars and Status: their messages, and the client that asks for them."""
