"""Tests of the hooks: variants, existing files, updates."""
