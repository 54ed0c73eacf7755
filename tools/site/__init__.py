"""The site: documents, lessons, slides, and an explorer of all strategies."""
