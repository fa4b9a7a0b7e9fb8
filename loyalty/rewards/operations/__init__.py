"""Writing rewards: import from the modules directly."""
