"""Other tools that can do the same work, used as their own documentation says: `NAME.py`, and its needs, `NAME.txt`.

Each decodes to 16 kHz mono, encodes FLAC, and writes lines with base64, on two cores in its own way.
"""
