"""Hints for what lies outside of the code: ports, services, and how processes end. Pure; runs in every process."""

from __future__ import annotations

import shlex

from devserver.hints.case import Case, Hint
from devserver.report import Advice
from devserver.source import package_of


def connection_refused(case: Case) -> Advice | None:
    match = case.matched(r"(?:port |:|', )(\d{2,5})\b")
    services = {"5432": "PostgreSQL", "3306": "MySQL", "6379": "Redis", "11211": "Memcached", "27017": "MongoDB"}
    services |= {"5672": "RabbitMQ", "9200": "Elasticsearch", "1025": "a mail catcher", "25": "a mail server"}
    if not match:
        return Advice(
            "Nothing listens at the address that the code connects to: start that service, or check the address."
        )
    name = services.get(match[1], "the service")
    return Advice(f"Nothing listens on port {match[1]}: start {name}, or check host and port in the settings.")


def refused_in_message(case: Case) -> Advice | None:
    return connection_refused(case) if case.matched(r"[Cc]onnection refused|Errno 111\b") else None


def address_in_use(case: Case) -> Advice | None:
    if case.error.fact("errno") not in {"98", "48"} and not case.matched(r"[Aa]ddress already in use"):
        return None
    return Advice(
        "The code opens a port that is taken, perhaps by another run of the same program. A server started on import"
        ' (app.run(), serve_forever()) belongs below `if __name__ == "__main__":`.'
    )


def certificate(case: Case) -> Advice | None:
    if not case.matched(r"certificate verify failed|CERTIFICATE_VERIFY_FAILED"):
        return None
    if case.matched(r"self[- ]signed certificate"):
        return Advice(
            "The server's certificate is from an authority of its own: name its file by SSL_CERT_FILE=… in .env."
        )
    if case.matched(r"certificate has expired"):
        return Advice("The server's certificate has expired: renew it; if it is not yours, check this machine's clock.")
    if match := case.matched(r"certificate is not valid for '([^']+)'"):
        return Advice(f"The server's certificate is not for {match[1]}: use the name that it was made for.")
    return Advice(
        "This Python finds no authorities to trust: update certifi (on macOS run Install Certificates.command), or name a file"
        " of authorities by SSL_CERT_FILE=… in .env.",
        f"{shlex.quote(case.around.python)} -m pip install --upgrade certifi",
    )


def unknown_host(case: Case) -> Advice | None:
    if not case.matched(r"Name or service not known|nodename nor servname|name resolution|No address associated"):
        return None
    match = case.matched(r"resolve host '([^']+)'|translate host name \"([^\"]+)\"")
    name = f"the host {match[1] or match[2]}" if match else "the host"
    return Advice(
        f"Nobody knows {name}: check its spelling and the network. The name of a Docker service works only between containers;"
        " from outside it is localhost."
    )


def timed_out(case: Case) -> Advice | None:
    if case.error.fact("errno") not in {"110", "60"} and not case.matched(r"[Cc]onnection time(?:d out|out expired)"):
        return None
    return Advice(
        "The other side does not answer: check host and port in the settings, and whether a firewall or VPN is between."
    )


def disk_full(case: Case) -> Advice | None:
    if case.error.fact("errno") != "28" and not case.matched(r"No space left on device|database or disk is full"):
        return None
    return Advice("The disk is full, so nothing more can be written: see `df -h`, and delete what is not needed.")


def too_many_files(case: Case) -> Advice | None:
    if case.error.fact("errno") != "24" and not case.matched(r"Too many open files"):
        return None
    return Advice(
        "Files or connections are opened and never closed: open them by `with`, make clients once and not per request."
    )


def death(case: Case) -> Advice | None:
    match case.error.fact("signal"):
        case "SIGSEGV" | "SIGBUS" | "SIGILL" | "SIGFPE":
            return Advice(
                "Such an end comes from a compiled extension, not from Python code: see which call was the last,"
                " and try another version of that package."
            )
        case "SIGKILL":
            return Advice(
                "Someone killed the process. If nobody did, it was the system for lack of memory (see dmesg)."
            )
        case "SIGABRT":
            return Advice("A compiled extension gave up (abort); what it wrote just before says why.")
        case _ if "exit" in case.error.bases:
            return Advice("The code ended the process (os._exit() or a library's exit): raise an exception instead.")
    return None


_SERVERS = {
    "bottle",
    "cheroot",
    "daphne",
    "granian",
    "gunicorn",
    "http",
    "hypercorn",
    "quart",
    "socketserver",
    "tornado",
}
_SERVERS |= {"uvicorn", "waitress", "werkzeug"}


def hang(case: Case) -> Advice | None:
    place = case.error.place
    inner = case.error.frames[case.error.frames.index(place) + 1 :] if place is not None else ()
    server = next((name for frame in inner if (name := package_of(frame.display_path)) in _SERVERS), "")
    if place is not None and server:
        return Advice(
            f"{place.display_path}, line {place.line}, starts a server of its own ({server}) and waits for its end. A"
            ' file that is imported must not: move the call below `if __name__ == "__main__":`, or remove it.'
        )
    if place is None:
        return Advice("Save the file once the cause is found: the load begins anew.")
    return Advice(
        f"The load is at {place.display_path}, line {place.line}. If that should not take long, move it out of"
        " the import, into a function; a save begins the load anew."
    )


IN_MESSAGES: tuple[Hint, ...] = (refused_in_message, unknown_host, timed_out, disk_full)
"""What a library may say about the machine in a message of its own."""
