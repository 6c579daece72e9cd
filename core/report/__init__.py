"""The file that people take away: sections of figures as HTML, PDF and ZIP, each with its definition and its SQL."""
