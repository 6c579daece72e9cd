"""Audiences: a rule in words → its users, their size and worth, and a file to take away."""
