"""Where servers are: addresses from DNS and from files, for everybody who connects to a changing set of them."""
