"""A program that greets: what the lessons put into an image."""
