"""How the data sets were made: one script each, run by hand when a source changes, never at import."""
