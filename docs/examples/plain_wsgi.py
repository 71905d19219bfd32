"""The smallest WSGI application: `devserver run plain_wsgi.py`."""


def application(environ, start_response):
    body = b"Hello from WSGI\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
