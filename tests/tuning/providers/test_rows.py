"""What a training example may be: three layers of law, each row with the rule that it breaks."""

import io

import numpy as np
import orjson
import pybase64
import pytest
import soundfile

from tests.sounds import run_ffmpeg, tone
from transforms import limits
from transforms.audio import encode
from transforms.payloads import PAYLOADS
from transforms.settings import Settings
from tuning.providers.vertex.rows import check_line


def _file(kind, seconds=1.0, rate=16_000):
    stream = io.BytesIO()
    subtype = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}.get(kind, "PCM_16")
    soundfile.write(stream, tone(440, rate, seconds), rate, subtype, format=kind)
    return stream.getvalue()


FLAC, WAV, MP3, OGG = map(_file, ("FLAC", "WAV", "MP3", "OGG"))
AAC = encode.encode(np.ones(16_000, np.int16), Settings(audio_format="aac", bitrate=64)).content
M4A = run_ffmpeg(WAV, "-c:a", "aac", "-f", "ipod")
WEBM = run_ffmpeg(WAV, "-c:a", "libopus", "-f", "webm")


def blob(content=FLAC, mime="audio/flac"):
    return {"inline_data": {"mime_type": mime, "data": pybase64.b64encode(content).decode()}}


def uri(address="gs://bucket/a.flac", mime="audio/flac"):
    return {"file_data": {"mime_type": mime, "file_uri": address}}


PROMPT, ANSWER = {"text": "Transcribe."}, {"text": "hello"}


def user(*parts):
    return {"role": "user", "parts": list(parts)}


def model(*parts):
    return {"role": "model", "parts": list(parts)}


def row(*turns, **more):
    return orjson.dumps({"contents": list(turns or (user(PROMPT, blob()), model(ANSWER))), **more})


GOOD = row()
CAMEL = GOOD.replace(b"inline_data", b"inlineData").replace(b"mime_type", b"mimeType")
URI_CAMEL = row(user(PROMPT, uri()), model(ANSWER)).replace(b"mime_type", b"mimeType")
URI_CAMEL = URI_CAMEL.replace(b"file_data", b"fileData").replace(b"file_uri", b"fileUri")
TWO_TYPES = {"inline_data": {**blob()["inline_data"], "mimeType": "audio/flac"}}
NAMED = {"inline_data": {**blob()["inline_data"], "display_name": "x"}}
NULL_BYTES = {"inline_data": {"mime_type": "audio/flac", "data": None}}
PICTURE = blob(b"\x89PNG\r\n\x1a\n", "image/png")
NO_BYTES = {"inline_data": {"mime_type": "audio/flac", "data": [1]}}

VALID = {
    "snake_case": GOOD,
    "camelCase": CAMEL,
    "wav": row(user(PROMPT, blob(WAV, "audio/wav")), model(ANSWER)),
    "mp3": row(user(PROMPT, blob(MP3, "audio/mp3")), model(ANSWER)),
    "mp3 as mpeg": row(user(PROMPT, blob(MP3, "audio/mpeg")), model(ANSWER)),
    "mp3 as mpga": row(user(PROMPT, blob(MP3, "audio/mpga")), model(ANSWER)),
    "ogg": row(user(PROMPT, blob(OGG, "audio/ogg")), model(ANSWER)),
    "aac": row(user(PROMPT, blob(AAC, "audio/x-aac")), model(ANSWER)),
    "m4a": row(user(PROMPT, blob(M4A, "audio/m4a")), model(ANSWER)),
    "mp4": row(user(PROMPT, blob(M4A, "audio/mp4")), model(ANSWER)),
    "webm": row(user(PROMPT, blob(WEBM, "audio/webm")), model(ANSWER)),
    "pcm": row(user(PROMPT, blob(bytes(3_200), "audio/pcm")), model(ANSWER)),
    "uri": row(user(PROMPT, uri()), model(ANSWER)),
    "uri, camelCase": URI_CAMEL,
    "audio before the prompt": row(user(blob(), PROMPT), model(ANSWER)),
    "no prompt": row(user(blob()), model(ANSWER)),
    "system instruction": row(systemInstruction={"parts": [{"text": "Be brief."}]}),
    "system_instruction with its role": row(system_instruction={"role": "system", "parts": [{"text": "Be brief."}]}),
    "null system instruction": row(system_instruction=None),
    "null in a part": row(user({**PROMPT, "inline_data": None}, blob()), model(ANSWER)),
    "base64 without its end": GOOD.replace(b'=="', b'"').replace(b'="', b'"'),
    "mp3 behind a tag": row(user(PROMPT, blob(b"ID3\x03\0\0\0\0\0\x0a" + bytes(10) + MP3, "audio/mp3")), model(ANSWER)),
    "labels": row(labels={"a": "b"}),
    "two rounds": row(user(PROMPT, blob()), model(ANSWER), user(PROMPT), model(ANSWER)),
    "answer in two parts": row(user(PROMPT, blob()), model(ANSWER, ANSWER)),
    "unicode": row(user(PROMPT, blob()), model({"text": "Grüße 日本語 🎤 \u2028"})),
    "escapes": row(user(PROMPT, blob()), model({"text": "x"})).replace(b'"x"', b'"\\u00e9\\n\\ud83c\\udfa4"'),
    "spaces around": b"  " + GOOD + b" \r",
    "base64 for URLs": GOOD.replace(b"+", b"-").replace(b"/", b"_").replace(b"audio_flac", b"audio/flac"),
}  # fmt: skip

INVALID = {
    "blank": (b"", "blank_line"),
    "spaces": (b" \t", "blank_line"),
    "no JSON": (b"hello", "not_json"),
    "cut": (GOOD[:-5], "not_json"),
    "array": (b"[]", "schema"),
    "text": (b'"hello"', "schema"),
    "null": (b"null", "schema"),
    "two objects": (GOOD + GOOD, "not_json"),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, "not_json"),
    "single quotes": (b"{'contents': []}", "not_json"),
    "nested 100,000 deep": (b'{"contents":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not_json"),
    "Latin-1": (GOOD.replace(b"hello", b"h\xe9llo"), "not_utf8"),
    "lone surrogate": (GOOD.replace(b"hello", b"\\ud800"), "schema"),
    "no contents": (b"{}", "schema"),
    "empty contents": (b'{"contents":[]}', "contents"),
    "contents of another type": (b'{"contents":"hello"}', "schema"),
    "unknown key": (row(weight=2), "schema"),
    "messages of another provider": (b'{"messages":[{"role":"user","content":"hi"}]}', "schema"),
    "lone surrogate as a key": (b'{"\\ud800":1}', "schema"),
    "escape sequence as a key": (b'{"\\u001b[2J":1}', "schema"),
    "newline in a key": (b'{"a\\nb":1}', "schema"),
    "NaN": (row(generation_config={"temperature": 1}).replace(b":1}", b":NaN}"), "schema"),
    "a number of 5,000 digits": (b'{"contents":' + b"1" * 5_000 + b"}", "not_json"),
    "comma at the end": (GOOD[:-1] + b",}", "not_json"),
    "tab in a text": (GOOD.replace(b"hello", b"hel\tlo"), "not_json"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "not_utf8"),
    "unknown key in a part": (row(user(PROMPT, {**blob(), "note": 1}), model(ANSWER)), "schema"),
    "doubled key": (GOOD[:-1] + b',"contents":[]}', "not_json"),
    "both spellings": (row(system_instruction={"parts": [PROMPT]}, systemInstruction={"parts": [PROMPT]}), "schema"),
    "text and audio in one part": (row(user({**PROMPT, **blob()}), model(ANSWER)), "schema"),
    "text is a number": (row(user(PROMPT, blob()), model({"text": 7})), "schema"),
    "both spellings in a blob": (row(user(PROMPT, TWO_TYPES), model(ANSWER)), "schema"),
    "name of a blob": (row(user(PROMPT, NAMED), model(ANSWER)), "schema"),
    "base64 over two lines": (GOOD.replace(b'"data":"ZkxhQ', b'"data":"Zkxh\\nQ'), "schema"),
    "base64 in both alphabets": (GOOD.replace(b"+", b"-", 1), "schema"),
    "base64 with stray characters": (GOOD.replace(b'"data":"', b'"data":"$$$$'), "schema"),
    "base64 cut": (GOOD.replace(b'"data":"', b'"data":"A'), "schema"),
    "data is a list": (row(user(PROMPT, NO_BYTES), model(ANSWER)), "schema"),
    "no audio": (row(user(PROMPT), model(ANSWER)), "audio_part"),
    "two clips": (row(user(PROMPT, blob(), blob()), model(ANSWER)), "audio_part"),
    "clip and URI": (row(user(PROMPT, blob(), uri()), model(ANSWER)), "audio_part"),
    "audio from the model": (row(user(PROMPT), model(ANSWER, blob())), "audio_part"),
    "audio in both rounds": (row(user(PROMPT, blob()), model(ANSWER), user(blob()), model(ANSWER)), "audio_part"),
    "USER": (row({"role": "USER", "parts": [PROMPT, blob()]}, model(ANSWER)), "roles"),
    "null role": (row({"role": None, "parts": [PROMPT, blob()]}, model(ANSWER)), "roles"),
    "null parts": (row({"role": "user", "parts": None}, model(ANSWER)), "parts"),
    "model first": (row(model(ANSWER), user(PROMPT, blob())), "roles"),
    "user last": (row(user(PROMPT, blob()), model(ANSWER), user(PROMPT)), "roles"),
    "only a user": (row(user(PROMPT, blob())), "roles"),
    "two users": (row(user(PROMPT), user(blob()), model(ANSWER)), "roles"),
    "assistant": (row(user(PROMPT, blob()), {"role": "assistant", "parts": [ANSWER]}), "roles"),
    "no role": (row({"parts": [PROMPT, blob()]}, model(ANSWER)), "roles"),
    "system as a turn": (row({"role": "system", "parts": [PROMPT]}, user(blob()), model(ANSWER)), "roles"),
    "blank answer": (row(user(PROMPT, blob()), model({"text": " \n"})), "model_turn"),
    "empty answer": (row(user(PROMPT, blob()), model({"text": ""})), "model_turn"),
    "no parts": (row(user(PROMPT, blob()), model()), "parts"),
    "empty part": (row(user(PROMPT, blob(), {}), model(ANSWER)), "parts"),
    "function call as answer": (row(user(PROMPT, blob()), model({"function_call": {"name": "f"}})), "model_turn"),
    "system instruction with audio": (row(system_instruction={"parts": [blob()]}), "system_instruction"),
    "empty system instruction": (row(system_instruction={"parts": []}), "system_instruction"),
    "type of the Developer API": (row(user(PROMPT, blob(AAC, "audio/aac")), model(ANSWER)), "mime_type"),
    "type of Python": (row(user(PROMPT, blob(WAV, "audio/x-wav")), model(ANSWER)), "mime_type"),
    "no type": (row(user(PROMPT, {"inline_data": {"data": "AAAA"}}), model(ANSWER)), "mime_type"),
    "video": (row(user(PROMPT, blob(M4A, "video/mp4")), model(ANSWER)), "mime_type"),
    "flac called wav": (row(user(PROMPT, blob(FLAC, "audio/wav")), model(ANSWER)), "mime_type"),
    "wav called mp3": (row(user(PROMPT, blob(WAV, "audio/mp3")), model(ANSWER)), "mime_type"),
    "type in capitals": (row(user(PROMPT, blob(FLAC, "Audio/FLAC")), model(ANSWER)), "mime_type"),
    "picture besides": (row(user(PROMPT, blob(), PICTURE), model(ANSWER)), "audio_part"),
    "null data": (row(user(PROMPT, NULL_BYTES), model(ANSWER)), "audio"),
    "no data": (row(user(PROMPT, blob(b"")), model(ANSWER)), "audio"),
    "text called flac": (row(user(PROMPT, blob(b"this is no sound at all")), model(ANSWER)), "audio"),
    "picture called flac": (row(user(PROMPT, blob(b"\x89PNG\r\n\x1a\n0000")), model(ANSWER)), "audio"),
    "damaged header": (row(user(PROMPT, blob(FLAC[:10] + bytes(60))), model(ANSWER)), "audio"),
    "no samples": (row(user(PROMPT, blob(_file("WAV", 0.0), "audio/wav")), model(ANSWER)), "audio"),
    "http address without a host": (row(user(PROMPT, uri("http:///a.flac")), model(ANSWER)), "file_uri"),
    "https address with a secret": (row(user(PROMPT, uri("https://me:pw@example.com/a")), model(ANSWER)), "file_uri"),
    "GS": (row(user(PROMPT, uri("GS://b/a.flac")), model(ANSWER)), "file_uri"),
    "newline in a URI": (row(user(PROMPT, uri("gs://bucket/a\n.flac")), model(ANSWER)), "file_uri"),
    "no URI": (row(user(PROMPT, {"file_data": {"mime_type": "audio/flac"}}), model(ANSWER)), "file_uri"),
    "local path": (row(user(PROMPT, uri("/a.flac")), model(ANSWER)), "file_uri"),
    "bucket only": (row(user(PROMPT, uri("gs://bucket")), model(ANSWER)), "file_uri"),
    "URI of a wrong type": (row(user(PROMPT, uri(mime="audio/aac")), model(ANSWER)), "mime_type"),
}  # fmt: skip


@pytest.mark.parametrize("name", VALID)
def test_valid_rows(name):
    problems, facts = check_line(VALID[name], "f:1")
    assert problems == []
    assert facts.audio


@pytest.mark.parametrize("name", INVALID)
def test_invalid_rows_break_the_rule(name):
    line, rule = INVALID[name]
    problems, _ = check_line(line, "f:1")
    assert rule in {problem.rule for problem in problems}
    assert {problem.severity for problem in problems} == {"error"}
    assert {problem.source for problem in problems} == {"f:1"}
    assert all(problem.detail.isprintable() for problem in problems)  # on a terminal, and as JSON
    assert all(problem.detail and "SystemError" not in problem.detail for problem in problems)


def test_what_is_told_of_audio_from_the_model_is_no_riddle():
    problems, _ = check_line(INVALID["audio from the model"][0], "f:1")
    (detail,) = [problem.detail for problem in problems if problem.rule == "audio_part"]
    assert not detail.endswith("got 1")  # for one is what is asked for


def test_the_table_is_a_table():
    assert len(VALID) + len(INVALID) >= 60


def test_the_facts_of_a_row():
    _, facts = check_line(row(user(PROMPT, blob(_file("FLAC", 10.0))), model({"text": "é" * 8})), "f:1")
    assert (facts.seconds, facts.text_chars, facts.text_bytes, facts.prompt) == (10.0, 19, 27, "Transcribe.")
    assert (facts.tokens, facts.max_tokens) == (320 + 5, 350 + 27)


@pytest.mark.parametrize("kind", ["mp3", "aac"])
def test_lossy_payloads_tell_their_length(kind):
    content = {"mp3": MP3, "aac": AAC}[kind]
    _, facts = check_line(row(user(PROMPT, blob(content, PAYLOADS[kind].mime_type)), model(ANSWER)), "f:1")
    assert facts.seconds == pytest.approx(1.0, abs=0.2)


def test_a_uri_has_no_length():
    _, facts = check_line(row(user(PROMPT, uri()), model(ANSWER)), "f:1")
    assert (facts.seconds, facts.audio) == (None, "gs://bucket/a.flac")


@pytest.mark.parametrize(
    ("limit", "severity"),
    [("upper", None), ("under upper", "warning"), ("expected", "warning"), ("under expected", "error")],
)
def test_the_token_limit_warns_where_it_is_not_sure(monkeypatch, limit, severity):
    _, facts = check_line(GOOD, "f:1")
    tokens = facts.max_tokens if "upper" in limit else facts.tokens
    monkeypatch.setattr(limits, "MAX_TOKENS_PER_EXAMPLE", tokens - limit.startswith("under"))
    problems, _ = check_line(GOOD, "f:1")
    assert [problem.severity for problem in problems] == ([severity] if severity else [])


@pytest.mark.parametrize(("limit", "rules"), [(1.0, []), (0.999, ["duration"])])
def test_the_duration_limit_on_both_sides(monkeypatch, limit, rules):
    monkeypatch.setattr(limits, "MAX_AUDIO_SECONDS", limit)
    assert [problem.rule for problem in check_line(GOOD, "f:1")[0]] == rules


@pytest.mark.parametrize(("over", "rules"), [(0, []), (1, ["audio"])])
def test_the_size_limit_on_both_sides(monkeypatch, over, rules):
    monkeypatch.setattr(limits, "MAX_AUDIO_BYTES", len(FLAC) - over)
    assert [problem.rule for problem in check_line(GOOD, "f:1")[0]] == rules


def problems_of(line):
    return {(problem.severity, problem.rule) for problem in check_line(line, "f:1")[0]}


def asked(part, text="hello"):
    return row(user(PROMPT, part), model({"text": text}))


FILM = ("-f", "lavfi", "-i", "color=c=black:s=64x64:d=1", "-map", "1:v")
VIDEO = run_ffmpeg(WAV, *FILM, "-c:v", "mpeg4", "-f", "mp4")
VIDEO_WEBM = run_ffmpeg(WAV, *FILM, "-c:v", "libvpx", "-f", "webm")
FRAGMENTED = run_ffmpeg(WAV, "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov", "-f", "mp4")
OPUS = run_ffmpeg(WAV, "-c:a", "libopus", "-f", "ogg")
NO_TRACK = M4A[: int.from_bytes(M4A[:4])] + b"\0\0\0\x10mdat" + bytes(8)
# What its header says of the length is 0: a stream was written whose end nobody knew.
ENDLESS = FLAC[:21] + bytes([FLAC[21] & 0xF0]) + bytes(4) + FLAC[26:]
OF_TYPE = {
    "audio/wav": WAV, "audio/flac": FLAC, "audio/mp3": MP3, "audio/ogg": OGG, "audio/x-aac": AAC, "audio/m4a": M4A,
    "audio/webm": WEBM, "audio/pcm": WAV[44:],
}  # fmt: skip
SAME = ({"audio/mp3", "audio/mpeg", "audio/mpga"}, {"audio/m4a", "audio/mp4"})


@pytest.mark.parametrize("stated", sorted(limits.MIME_TYPES))
@pytest.mark.parametrize("real", OF_TYPE)
def test_every_stated_type_is_held_against_every_kind_of_bytes(stated, real):
    right = stated == real or any({stated, real} <= same for same in SAME)
    assert problems_of(asked(blob(OF_TYPE[real], stated))) == (
        set() if right else {("error", "audio" if real == "audio/pcm" else "mime_type")}
    )


@pytest.mark.parametrize(
    ("content", "stated"),
    [
        (VIDEO, "audio/mp4"),
        (VIDEO, "audio/m4a"),
        (NO_TRACK, "audio/mp4"),
        (VIDEO_WEBM, "audio/webm"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "audio/pcm"),
        (b"<html><body>not found</body></html>", "audio/pcm"),
        (b"the words of the recording, no sound", "audio/pcm"),
    ],
)
def test_what_has_no_sound_is_refused(content, stated):
    ((severity, _),) = problems_of(asked(blob(content, stated)))
    assert severity == "error"


@pytest.mark.parametrize(
    ("content", "stated", "seconds"),
    [
        (FRAGMENTED, "audio/mp4", pytest.approx(1.0, abs=0.1)),
        (M4A, "audio/m4a", pytest.approx(1.0, abs=0.1)),
        (WEBM, "audio/webm", pytest.approx(1.0, abs=0.1)),
        (OPUS, "audio/ogg", pytest.approx(1.0, abs=0.1)),
        (ENDLESS, "audio/flac", None),
        (WAV[:40] + bytes(4) + WAV[44:], "audio/wav", 1.0),  # likewise: a length that was to be filled in
        (bytes(range(32, 256)) * 10, "audio/pcm", None),  # eight bits a sample look much like text
        (b"\x80" * 1_000, "audio/pcm", None),
    ],
)
def test_what_has_sound_is_accepted_and_lasts_as_long_as_it_says(content, stated, seconds):
    problems, facts = check_line(asked(blob(content, stated)), "f:1")
    assert (problems, facts.seconds) == ([], seconds)


@pytest.mark.parametrize("stated", sorted(set(OF_TYPE) - {"audio/pcm"}))
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_audio_that_was_cut_is_a_warning(stated, part):
    content = OF_TYPE[stated]
    assert problems_of(asked(blob(content[: int(len(content) * part)], stated))) == {("warning", "cut_audio")}


def test_a_flac_file_without_its_last_byte_was_cut():
    assert problems_of(asked(blob(FLAC[:-1]))) == {("warning", "cut_audio")}


def test_a_nul_in_a_text_is_a_warning():
    assert problems_of(asked(blob(), "a\0b")) == {("warning", "nul")}
    assert problems_of(row(user({"text": "\0"}, blob()), model(ANSWER))) == {("warning", "nul")}
    assert problems_of(row(systemInstruction={"parts": [{"text": "\0"}]})) == {("warning", "nul")}


LABEL = "x" * 63
CANNOT_BE = {
    "two characters": "gs://ab/a.flac",
    "64 without a dot": f"gs://{LABEL}x/a.flac",
    "a label of 64": f"gs://a.{LABEL}x/a.flac",
    "223": f"gs://{LABEL}.{LABEL}.{LABEL}.{'x' * 31}/a.flac",
    "capitals": "gs://Bucket/a.flac",
    "a space": "gs://my bucket/a.flac",
    "two dots": "gs://a..b/a.flac",
    "a dot at the end": "gs://abc./a.flac",
    "a dash beside a dot": "gs://abc.-b/a.flac",
    "a dash at first": "gs://-abc/a.flac",
    "an underscore at last": "gs://abc_/a.flac",
    "an address": "gs://192.168.5.4/a.flac",
    "goog": "gs://goog-clips/a.flac",
    "google": "gs://googlefonts/a.flac",
    "umlaut": "gs://bücket/a.flac",
    "a variable": "gs://$BUCKET/a.flac",
    "a port": "gs://bucket:443/a.flac",
    "no bucket": "gs:///a.flac",
    "no name": "gs://bucket/",
    "a dot": "gs://bucket/.",
    "two dots as a name": "gs://bucket/..",
    "a line end": "gs://bucket/a\r.flac",
    "1,025 bytes": f"gs://bucket/{'x' * 1_025}",
    "1,025 bytes of umlauts": f"gs://bucket/x{'ü' * 512}",
    "a challenge": "gs://bucket/.well-known/acme-challenge/x",
    "blanks in front": " gs://bucket/a.flac",
    "https without a path": "https://example.com",
    "ftp": "ftp://example.com/a.flac",
    "s3": "s3://bucket/a.flac",
}
CAN_BE = {
    "three characters": "gs://abc/a.flac",
    "63": f"gs://{LABEL}/a.flac",
    "222": f"gs://{LABEL}.{LABEL}.{LABEL}.{'x' * 30}/a.flac",
    "a domain": "gs://audio.example.com/a.flac",
    "underscores": "gs://my_bucket_1/a.flac",
    "almost an address": "gs://192.168.5.4.5/a.flac",
    "goog later": "gs://my-goog/a.flac",
    "1,024 bytes": f"gs://bucket/{'x' * 1_024}",
    "dots in a name": "gs://bucket/../a.flac",
    "brackets and blanks": "gs://bucket/a [1] ü.flac",
}
DOUBTFUL = {
    "http": "http://example.com/a.flac",
    "https": "https://storage.googleapis.com/bucket/a.flac?X-Goog-Signature=secret",
    "HTTPS": "HTTPS://example.com:8443/a.flac",
    "a generation": "gs://bucket/a.flac#1700000000000000",
    "a fragment": "gs://bucket/a.flac#t=10",
    "a wildcard": "gs://bucket/*.flac",
}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        *((address, {("error", "file_uri")}) for address in CANNOT_BE.values()),
        *((address, set()) for address in CAN_BE.values()),
        *((address, {("warning", "file_uri")}) for address in DOUBTFUL.values()),
    ],
)
def test_an_address_of_audio(address, expected):
    line = asked(uri(address))
    assert problems_of(line) == expected
    assert all("secret" not in problem.detail for problem in check_line(line, "f:1")[0])


@pytest.mark.parametrize("stated", ["audio/wav; codecs=1", "audio/WAV", " audio/wav", "audio/wav\n", "audio", ""])
def test_a_type_is_one_of_the_list_letter_for_letter(stated):
    for part in (blob(WAV, stated), uri(mime=stated)):
        assert problems_of(asked(part)) == {("error", "mime_type")}


@pytest.mark.parametrize(("end", "expected"), [("", set()), ("=", set()), ("==", set()), ("===", None), ("\n", None)])
def test_the_end_of_base64(end, expected):
    content = WAV + bytes(-(len(WAV) - 1) % 3)  # two characters of base64 are the last byte's
    line = asked(blob(content, "audio/wav"))
    found = {rule for _, rule in problems_of(line.replace(b'=="', orjson.dumps(end)[1:]))}
    assert found == (set() if expected == set() else {"schema"})
