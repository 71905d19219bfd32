"""The processes that load and serve the target. What stands here is thrown away on every change."""
