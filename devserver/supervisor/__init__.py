"""The process of the command: owns terminal, watcher, listening socket, keys. Never runs user code."""
