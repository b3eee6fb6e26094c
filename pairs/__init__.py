"""What is asked of a base and a thinking model together."""
