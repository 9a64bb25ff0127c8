"""What a job needs of a machine."""
