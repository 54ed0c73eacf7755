"""The questions: their rules, their prompts, and their documentation."""
