"""Doors: bytes in, typed commands to the orchestrator, typed answers out."""
