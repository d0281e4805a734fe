"""The Safelight wire: pure types and state machines, no I/O."""
