"""Errors, tables, seeds, parallel runs and storage: what every room needs and none owns."""
