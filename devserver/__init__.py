"""devserver: a development server with autoreload for Python web apps. Never meant for production.

This module imports nothing heavy: start-up is a race worth winning.
"""

from devserver.errors import DevServerError

__all__ = ["DevServerError", "__version__"]
__version__ = "0.1.0"
