"""The field's metrics without their leaks, and the report."""
