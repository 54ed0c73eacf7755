"""Commands of the template: what is run, and is not a test."""
