"""Files that are no manifests, told by their first bytes: what they are, and what to do."""

from __future__ import annotations

import re

from transforms.manifests.headerless import is_path
from transforms.manifests.lines import Beginning, encoding_of

# Formats that hold recordings, too.
TAR, ARROW = re.compile(rb".{257}ustar", re.DOTALL), b"ARROW1"
_AUDIO = "a recording, not a list of recordings; name a file that lists it, or a folder of NAME.wav and NAME.txt"
_SHEET = "a spreadsheet; save the sheet as CSV UTF-8"
ARCHIVE = "an archive; unpack it, and name the manifest or the folder in it"
_TABLE = "a table in another format; write it as Parquet, JSONL or CSV"
_MODEL = "a model or an array of numbers"
_PICTURE = "a picture"
_PACKED = "compressed in a way that is not read; unpack it, or use gzip"
_PROGRAM = "a program"
# What a file begins with, what it is, and what to do.
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"fLaC", "FLAC", _AUDIO),
    (b"OggS", "Ogg", _AUDIO),
    (b"ID3", "MP3", _AUDIO),
    (b"\xff\xfb", "MP3", _AUDIO),
    (b"\xff\xf3", "MP3", _AUDIO),
    (b"\xff\xf2", "MP3", _AUDIO),
    (b"\xff\xf1", "AAC", _AUDIO),
    (b"\xff\xf9", "AAC", _AUDIO),
    (b"#!AMR", "AMR", _AUDIO),
    (b"\x02#!SILK_V3", "SILK", _AUDIO),
    (b"#!SILK_V3", "SILK", _AUDIO),
    (b".snd", "AU", _AUDIO),
    (b"caff", "CAF", _AUDIO),
    (b"wvpk", "WavPack", _AUDIO),
    (b"MAC ", "Monkey's Audio", _AUDIO),
    (b"TTA1", "TTA", _AUDIO),
    (b"NIST_1A", "NIST SPHERE", _AUDIO),
    (b"Creative Voice File", "VOC", _AUDIO),
    (b"MThd", "MIDI", "notes, not a list of recordings"),
    (b"\x1a\x45\xdf\xa3", "WebM or Matroska", _AUDIO),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA or WMV", _AUDIO),
    (b"FLV\x01", "FLV", _AUDIO),
    (b"\x00\x00\x01\xba", "MPEG", _AUDIO),
    (b"\x89PNG", "PNG", _PICTURE),
    (b"\xff\xd8\xff", "JPEG", _PICTURE),
    (b"GIF8", "GIF", _PICTURE),
    (b"II*\0", "TIFF", _PICTURE),
    (b"MM\0*", "TIFF", _PICTURE),
    (b"8BPS", "Photoshop", _PICTURE),
    (b"\0\0\1\0", "icon", _PICTURE),
    (b"%PDF", "PDF", "a document; export its table as CSV"),
    (b"%!PS", "PostScript", "a document; export its table as CSV"),
    (b"{\\rtf", "RTF", "a document; save it as plain text in UTF-8"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Office (.xls, .doc)", _SHEET),
    (b"\x1f\x8b", "gzip within gzip", "packed twice; unpack it once"),
    (b"BZh", "bzip2", _PACKED),
    (b"\xfd7zXZ\0", "xz", _PACKED),
    (b"\x28\xb5\x2f\xfd", "zstd", _PACKED),
    (b"\x04\x22\x4d\x18", "LZ4", _PACKED),
    (b"7z\xbc\xaf\x27\x1c", "7z", ARCHIVE),
    (b"Rar!\x1a\x07", "RAR", ARCHIVE),
    (b"!<arch>\n", "ar", ARCHIVE),
    (b"MSCF", "CAB", ARCHIVE),
    (b"070701", "cpio", ARCHIVE),
    (b"SQLite format 3", "SQLite", "a database; export its table as CSV"),
    (b"\0\1\0\0Standard Jet DB", "Access", "a database; export its table as CSV"),
    (ARROW, "Arrow", _TABLE),
    (b"FEA1", "Feather", _TABLE),
    (b"ORC", "ORC", _TABLE),
    (b"Obj\x01", "Avro", _TABLE),
    (b"\x89HDF\r\n", "HDF5", _TABLE),
    (b"DUCK", "DuckDB", _TABLE),
    (b"\x93NUMPY", "NumPy", _MODEL),
    (b"GGUF", "GGUF", _MODEL),
    (b"\x80\x02", "pickle", "a Python object"),
    (b"\x80\x03", "pickle", "a Python object"),
    (b"\x80\x04", "pickle", "a Python object"),
    (b"\x80\x05", "pickle", "a Python object"),
    (b"\x7fELF", "ELF", _PROGRAM),
    (b"\xcf\xfa\xed\xfe", "Mach-O", _PROGRAM),
    (b"\xfe\xed\xfa", "Mach-O", _PROGRAM),
    (b"\xca\xfe\xba\xbe", "Java or Mach-O", _PROGRAM),
    (b"\0asm", "WebAssembly", _PROGRAM),
    (b"#!/", "script", _PROGRAM),
    (b"version https://git-lfs", "Git LFS pointer", "in place of the file itself; run git lfs pull"),
    (b"#EXTM3U", "playlist", "a list for players, without texts"),
    (b"\0\5\x16\7", "AppleDouble", "what a Mac writes beside each file; name the file without ._"),
    (b"Bud1", "DS_Store", "what a Mac writes into folders"),
    (b"\0\0\0\1Bud1", "DS_Store", "what a Mac writes into folders"),
)
# What stands behind "RIFF" or "FORM" and a length.
_FORMS = {
    b"WAVE": f"WAV: {_AUDIO}",
    b"AVI ": f"AVI: {_AUDIO}",
    b"AIFF": f"AIFF: {_AUDIO}",
    b"AIFC": f"AIFF: {_AUDIO}",
    b"WEBP": f"WebP: {_PICTURE}",
}
_PATTERNS = (
    (TAR, f"tar: {ARCHIVE}"),
    (re.compile(rb"MZ.{56,}?PE\0\0", re.DOTALL), f"Windows: {_PROGRAM}"),
    (re.compile(rb"BM.{4}\0{4}", re.DOTALL), f"BMP: {_PICTURE}"),
    (re.compile(rb'.{5}\0\0\0\{"', re.DOTALL), f"safetensors: {_MODEL}"),
)
# What the names in a zip archive make of it.
_ZIPPED: tuple[tuple[bytes, str, str], ...] = (
    (b"xl/", "Excel (.xlsx)", _SHEET),
    (b"opendocument.spreadsheet", "OpenDocument (.ods)", _SHEET),
    (b"word/", "Word (.docx)", "a document; save its table as CSV UTF-8"),
    (b"opendocument", "OpenDocument", "a document; save its table as CSV UTF-8"),
    (b"Index/", "Numbers or Pages", _SHEET),
    (b"data.pkl", "PyTorch", _MODEL),
    (b".npy", "NumPy", _MODEL),
    (b"[Content_Types].xml", "Office (.xlsx, .docx)", _SHEET),
)
_PAGE = re.compile(r"<(!doctype|html|head|body|\?xml|svg|!--)", re.IGNORECASE)
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r\x0b\x0c\x1b")
# Texts hold hardly any control character; what is not text, one in ten or more.
_MAX_CONTROLS = 0.03


def described(beginning: Beginning, known: bool) -> str:
    """What a file is and what to do with it, if it can be no manifest; "" for what may be one.

    Args:
      beginning: of the file.
      known: whether it certainly looks like a format of manifests, which may be a binary one.
    """
    content = beginning.content
    if known and (TAR.match(content) or content.startswith(ARROW)):
        return ""
    what = _by_magic(content) or _by_form(content) or _by_text(content)
    if what or known:
        return what
    if _is_binary(content):
        return "binary data, in no format of manifests"
    return _AUDIO if is_path(beginning.name) and b"\xff" in content else ""


def _by_magic(content: bytes) -> str:
    found = next(((name, what) for magic, name, what in _MAGIC if content.startswith(magic)), None)
    if found is None and content.startswith(b"PK\3\4"):
        found = next(((name, what) for mark, name, what in _ZIPPED if mark in content), ("zip", ARCHIVE))
    return f"{found[0]}: {found[1]}" if found else ""


def _by_form(content: bytes) -> str:
    if content[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM"):
        return _FORMS.get(content[8:12], "")
    if content[4:8] == b"ftyp":
        is_picture = content[8:12] in (b"heic", b"heix", b"avif", b"mif1")
        return f"HEIC or AVIF: {_PICTURE}" if is_picture else f"MP4 or M4A: {_AUDIO}"
    return next((what for pattern, what in _PATTERNS if pattern.match(content[:1024])), "")


def _by_text(content: bytes) -> str:
    text = content[:1024].decode(encoding_of(content), errors="replace").lstrip("\ufeff \t\r\n")
    return "a web page or XML; export the table in it as CSV" if _PAGE.match(text) else ""


def _is_binary(content: bytes) -> bool:
    if not content.strip(b"\0"):
        return True
    if encoding_of(content) not in ("utf-8", "utf-8-sig"):
        return False
    # Runs of zeros are what a full disk leaves of a text.
    told = re.sub(rb"\0{16,}", b"", content)
    controls = len(told) - len(told.translate(None, _CONTROLS))
    return controls > _MAX_CONTROLS * len(told)
