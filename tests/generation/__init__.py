"""What the hooks do: variants, existing files, updates."""
