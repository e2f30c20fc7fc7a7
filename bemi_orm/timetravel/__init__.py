"""Reads the database as it was: inside `time_travel()` every query is answered by views on `changes`."""
