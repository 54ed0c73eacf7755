"""The site: links, assets, and the explorer."""
