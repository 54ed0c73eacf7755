"""The commands in tools/."""
