"""The HTTP service, as a process and in a container."""
