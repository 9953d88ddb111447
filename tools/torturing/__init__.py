"""What `tools/torture` does: real `hlsdl fetch` processes, interrupted in every way this machine can do it."""
