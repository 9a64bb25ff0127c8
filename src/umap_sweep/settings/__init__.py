"""The configuration: its schema, its defaults and its checks."""
