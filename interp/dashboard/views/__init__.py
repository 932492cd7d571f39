"""One file a page, and one for each part of a page that redraws by itself."""
