"""Tables and comparisons for people: pure functions of records."""
