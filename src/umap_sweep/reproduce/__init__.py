"""Whether results repeat: claims, verification, fingerprints."""
