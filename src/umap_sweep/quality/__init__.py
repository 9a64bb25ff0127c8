"""How good a cell is: metrics, stability, and the short list."""
