"""Images of every build strategy."""
