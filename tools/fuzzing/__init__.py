"""What `tools/fuzz` does: damaged input by the million for everything that reads what others wrote."""
