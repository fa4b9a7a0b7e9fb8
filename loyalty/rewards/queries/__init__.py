"""Reading rewards: import from the modules directly."""
