"""A language model may word what a fact table says; every number in its text must stand in the table, or the template stays."""
