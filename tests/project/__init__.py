"""Tests of a generated project: its files, and its own commands."""
