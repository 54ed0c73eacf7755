"""The documents and the configuration of this repository."""
