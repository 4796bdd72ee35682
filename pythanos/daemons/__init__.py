"""One file per daemon: its configuration, its parts in the order of the data, its services in the order they start."""
