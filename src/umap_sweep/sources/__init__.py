"""What a sweep starts from: the readers of users' files, downloads, and k-NNs made elsewhere."""
