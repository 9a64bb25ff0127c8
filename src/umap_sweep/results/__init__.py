"""What a sweep hands on: the tidy table, the manifest, AnnData."""
