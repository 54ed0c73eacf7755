"""A program that prints a greeting, for the lessons."""
