"""The media type of a file by its name, the same on every machine.

The standard library's `mimetypes` reads the machine's own tables, where a wrong registry entry makes a browser refuse
`.js` modules; this table is the whole truth. Runs in the server process.
"""

from __future__ import annotations

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


def content_type(name: str) -> str:
    """The value of Content-Type for a file of this name: text types say that they are UTF-8."""
    media_type = _TYPES.get(name.rpartition(".")[2].lower(), _UNKNOWN) if "." in name else _UNKNOWN
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type
