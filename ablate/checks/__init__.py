"""What to doubt of a study, of its results and of its tuning: one record, one list of codes."""
