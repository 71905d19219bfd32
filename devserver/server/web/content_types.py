"""The media type of a file by its name, the same on every machine.

The standard library's `mimetypes` reads the machine's own tables, where a wrong registry entry makes a browser refuse
`.js` modules; this table is the whole truth. Runs in the server process.
"""

from __future__ import annotations

import re

_UNKNOWN = "application/octet-stream"

_TYPES = {
    # pages and what they load
    "css": "text/css",
    "htm": "text/html",
    "html": "text/html",
    "js": "text/javascript",  # RFC 9239
    "cjs": "text/javascript",
    "json": "application/json",
    "jsonld": "application/ld+json",
    "map": "application/json",
    "mjs": "text/javascript",
    "wasm": "application/wasm",
    "webmanifest": "application/manifest+json",
    "xhtml": "application/xhtml+xml",
    # text
    "atom": "application/atom+xml",
    "cfg": "text/plain",
    "conf": "text/plain",
    "csv": "text/csv",
    "geojson": "application/geo+json",
    "ics": "text/calendar",
    "ini": "text/plain",
    "jsx": "text/plain",
    "less": "text/plain",
    "log": "text/plain",
    "markdown": "text/markdown",
    "md": "text/markdown",
    "ndjson": "application/x-ndjson",
    "rss": "application/rss+xml",
    "rst": "text/plain",
    "sass": "text/plain",
    "scss": "text/plain",
    "toml": "text/plain",
    "ts": "text/plain",  # TypeScript here; the registry's video/mp2t would be downloaded
    "tsv": "text/tab-separated-values",
    "tsx": "text/plain",
    "txt": "text/plain",
    "vcf": "text/vcard",
    "vtt": "text/vtt",
    "vue": "text/plain",
    "xml": "application/xml",
    "xsl": "application/xslt+xml",
    "yaml": "text/plain",
    "yml": "text/plain",
    # images
    "apng": "image/apng",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "heic": "image/heic",
    "ico": "image/x-icon",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "jxl": "image/jxl",
    "png": "image/png",
    "svg": "image/svg+xml",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "webp": "image/webp",
    # fonts
    "eot": "application/vnd.ms-fontobject",
    "otf": "font/otf",
    "ttc": "font/collection",
    "ttf": "font/ttf",
    "woff": "font/woff",
    "woff2": "font/woff2",
    # sound and film
    "aac": "audio/aac",
    "flac": "audio/flac",
    "m3u8": "application/vnd.apple.mpegurl",
    "m4a": "audio/mp4",
    "m4v": "video/mp4",
    "mid": "audio/midi",
    "mkv": "video/matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpd": "application/dash+xml",
    "mpeg": "video/mpeg",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "opus": "audio/ogg",
    "wav": "audio/wav",
    "weba": "audio/webm",
    "webm": "video/webm",
    # documents and archives
    "7z": "application/x-7z-compressed",
    "bz2": "application/x-bzip2",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "epub": "application/epub+zip",
    "glb": "model/gltf-binary",
    "gltf": "model/gltf+json",
    "gz": "application/gzip",
    "jar": "application/java-archive",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "pdf": "application/pdf",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "rtf": "application/rtf",
    "tar": "application/x-tar",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xz": "application/x-xz",
    "zip": "application/zip",
    "zst": "application/zstd",
}


_ENCODINGS = {"gz": "gzip", "br": "br"}
_PARTS_OF_PAGES = frozenset({"css", "data", "html", "js", "json", "mjs", "svg", "wasm"})
_OTHER_CHARSET = re.compile(
    rb"""<meta\s[^>]*charset\s*=\s*["']?(?!utf-?8\b)[\w-]|\A@charset\s+"(?!utf-?8")|\A(?:\xff\xfe|\xfe\xff)""",
    re.IGNORECASE,
)


def content_type(name: str, beginning: bytes = b"") -> str:
    """The value of Content-Type for a file of this name: text types say that they are UTF-8, unless their `beginning` says
    otherwise, which a header would overrule."""
    suffix = _suffix(name)
    media_type = "image/svg+xml" if suffix == "svgz" else _TYPES.get(suffix, _UNKNOWN)
    if content_encoding(name) and suffix in _ENCODINGS:
        return content_type(name.rpartition(".")[0])
    if not media_type.startswith("text/") or _OTHER_CHARSET.search(beginning):
        return media_type
    return f"{media_type}; charset=utf-8"


def content_encoding(name: str) -> str:
    """The value of Content-Encoding: a part of a page that lies there compressed (`app.js.gz`). "" for an archive, which is
    wanted as it is."""
    stem, _, suffix = name.lower().rpartition(".")
    if suffix == "svgz":
        return "gzip"
    return _ENCODINGS.get(suffix, "") if _suffix(stem) in _PARTS_OF_PAGES else ""


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""
