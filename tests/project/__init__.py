"""What is in a generated project, and what its own commands do without an engine."""
