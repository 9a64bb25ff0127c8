"""The page that shows all cells, linked."""
