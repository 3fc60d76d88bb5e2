"""The command line: the only place that picks a device and sets up logging."""
