"""Make a table of the project again: its runs, the table, its figures, and whether each cell came out as it should."""
