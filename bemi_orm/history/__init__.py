"""What the changes say of rows: whose they are, and how the rows were at a moment."""
