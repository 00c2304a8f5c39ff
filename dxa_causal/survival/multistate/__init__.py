"""Models of several states and the transitions between them."""
