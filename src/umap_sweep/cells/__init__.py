"""The cells of a sweep: the grid, their keys, and the groups that they form."""
