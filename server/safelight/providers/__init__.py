"""Providers: things that predict. They know neither each other nor the orchestrator."""
