"""How a process comes to hold the app."""
