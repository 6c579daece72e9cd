"""Ingest: files that nobody here wrote become clean events, a catalogue, users, and a quarantine that holds every other row.

Import from the submodules: `reading` (look at a file), `guessing` (which column is what), `mapping` (the record people
confirm), `building` (write a version), `report` (what was kept, and why not the rest).
"""
