"""What happened in a log, told by one SQL statement for each question."""
