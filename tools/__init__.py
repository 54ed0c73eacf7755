"""Development commands of the template."""
