"""Who may ask: TLS and basic authentication, from a web configuration file in Prometheus' format."""
