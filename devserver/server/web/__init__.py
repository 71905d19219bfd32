"""How a process answers."""
