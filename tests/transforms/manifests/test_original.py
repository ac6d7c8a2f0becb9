"""No row ends a run: whatever stands in it, it is a clip or a rejected row, and what is kept of it is JSON."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.manifests.written import GOOD, lines, rows_of, summary, written
from transforms.clip import Clip, dump, pack, unpack
from transforms.errors import UserError
from transforms.manifests import dead_letters, formats, original, read
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.locate import Manifest
from transforms.manifests.row import ALIASES, Row
from transforms.storage import Storage

NEXT = {"id": "next", "audio_path": "b.wav", "text": "next"}
NEXT_CLIP = ("next", "b.wav", "next")


def nested(depth):
    return "[" * depth + "]" * depth


# As JSON has them, in a column that is not used; what `rejected.jsonl` would have.
ODD = {
    "253 lists": (nested(253), json.loads(nested(253))),
    "255 lists": (nested(255), None),
    "1,000 lists": (nested(1_000), None),
    "150 lists": (nested(150), json.loads(nested(150))),
    "65 bits": ("18446744073709551616", "18446744073709551616"),
    "less than 64 bits": ("-9223372036854775809", "-9223372036854775809"),
    "5,000 digits": ("9" * 5_000, "9" * 5_000),
    "65 bits within": ('{"a": [18446744073709551616]}', {"a": [2.0**64]}),
    "NaN": ("NaN", None),
    "NaN within": ("[NaN]", [None]),
    "infinity": ("-Infinity", "-Infinity"),
}


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize("kind", ODD)
def test_what_stands_in_another_column_costs_nothing(tmp_path, kind, array):
    odd, kept = ODD[kind]
    row = json.dumps(GOOD)[:-1] + f', "odd": {odd}}}'
    content = f"[{row}, {json.dumps(NEXT)}]" if array else f"{row}\n{json.dumps(NEXT)}\n"
    clip, following = rows_of(written(tmp_path, content))
    assert isinstance(clip, Clip)
    assert orjson.loads(clip.row) == {**GOOD, "odd": kept}
    assert summary([following]) == [NEXT_CLIP]


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize(
    "odd", [nested(100_000), nested(5_000), '"\\ud800"', '"\\udc00x"', '{"\\ud800": 1}', "1e999", "tru", '"']
)
def test_what_is_no_json_costs_one_row(tmp_path, odd, array):
    row = json.dumps(GOOD)[:-1] + f', "odd": {odd}}}'
    if array and odd == '"':
        return  # then the array does not end
    content = f"[{row}, {json.dumps(NEXT)}]" if array else f"{row}\n{json.dumps(NEXT)}\n"
    found = summary(rows_of(written(tmp_path, content)))
    assert found in ([("m.jsonl:1", "bad_row"), NEXT_CLIP], [("a", "a.wav", "hello"), NEXT_CLIP])


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 80), 1 << 80)
    | st.floats()
    | st.text()
    | st.text(st.sampled_from("aé\ud800\udfff"))  # half surrogate pairs among letters
    | st.binary(),
    lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts) | st.tuples(parts),
    max_leaves=8,
)
keys = st.sampled_from(sorted(alias for aliases in ALIASES.values() for alias in aliases)) | st.text()


@given(st.dictionaries(keys, values, max_size=6))
def test_any_row_is_a_clip_or_a_rejected_row_that_can_be_written(fields):
    settings = ManifestSettings(audio_root="")
    opened = dead_letters.Opened(Row(1, fields), settings)
    row = read._outcome(opened, "m.jsonl:1", Manifest("m.jsonl", "/m.jsonl", is_folder=False))
    assert unpack(pack(dump(row))) == [row]
    assert isinstance(orjson.loads(row.row or ""), dict)
    if not isinstance(row, Clip):
        assert orjson.loads(dead_letters.line(row, dead_letters.NOWHERE))["reject_reason"] == row.reason


class _Unwilling:
    def __str__(self):
        raise RuntimeError("not today")


def test_a_value_without_a_text_has_its_type_for_one():
    kept = original.dump({"odd": _Unwilling(), "deep": [_Unwilling()], "big": 1 << 70}, ManifestSettings())
    shown = "(_Unwilling, RuntimeError)"
    assert orjson.loads(kept) == {"odd": shown, "deep": [shown], "big": str(1 << 70)}


@pytest.mark.parametrize("length", [original.MAX_UNUSED_VALUE_BYTES - 2, original.MAX_UNUSED_VALUE_BYTES - 1])
def test_what_is_long_and_not_used_is_left_out(length):
    fields = {"text": "t" * 50_000, "lyrics": "l" * 50_000, "odd": "o" * length}
    kept = orjson.loads(original.dump(fields, ManifestSettings(columns={"prompt": "lyrics"})))
    long = length + 2 > original.MAX_UNUSED_VALUE_BYTES  # with its quotes
    assert kept == {**fields, "odd": f"({length + 2:,} bytes, left out)" if long else fields["odd"]}


def test_base64_in_place_of_a_path_is_not_copied(tmp_path):
    for audio in ("UklGR" + "A" * 5_000_000, "data:audio/wav;base64,UklGR"):
        (row,) = rows_of(written(tmp_path, lines({**GOOD, "audio_path": audio})))
        assert row.reason == "embedded_audio"
        assert len(row.row) + len(row.uri) < 6_000


@pytest.mark.parametrize(
    ("audio", "found"),
    [
        ({"path": "a.wav", "bytes": None}, ("a", "a.wav", "hello")),
        ({"path": "a.wav"}, ("a", "a.wav", "hello")),
        ({"path": "a.wav", "array": None, "sampling_rate": 16_000}, ("a", "a.wav", "hello")),
        ({"path": "a.wav", "array": [0.5], "sampling_rate": 16_000}, ("m.jsonl:1", "embedded_audio")),
        ({"path": "a.wav", "bytes": "UklGRg=="}, ("m.jsonl:1", "embedded_audio")),
        ({"path": None, "bytes": None}, ("m.jsonl:1", "missing_audio_path")),
        ({"channels": 2}, ("m.jsonl:1", "bad_field")),
        (["a.wav"], ("m.jsonl:1", "bad_field")),
    ],
)
def test_audio_as_hubs_write_it(tmp_path, audio, found):
    assert summary(rows_of(written(tmp_path, lines({**GOOD, "audio_path": audio})))) == [found]


def test_an_exception_is_the_fate_of_its_row_alone(tmp_path, monkeypatch):
    make = read._clip

    def clip(row, *others):
        if row.fields["id"] == "a":
            raise KeyError("a bug")
        return make(row, *others)

    monkeypatch.setattr(read, "_clip", clip)
    rejected, following = rows_of(written(tmp_path, lines(GOOD, NEXT)))
    assert (rejected.clip_id, rejected.source, rejected.reason) == ("a", "m.jsonl:1", "bad_row")
    assert rejected.detail.startswith("the row could not be turned into a clip (KeyError in test_original.py:")
    assert orjson.loads(rejected.row) == GOOD
    assert summary([following]) == [NEXT_CLIP]


def test_a_reader_that_fails_is_named_with_the_file_and_the_place(tmp_path, monkeypatch):
    def failing(*_):
        yield Row(7, GOOD)
        raise KeyError("a bug")

    monkeypatch.setattr(read, "read_manifest", failing)
    with pytest.raises(
        UserError, match=r"^m\.jsonl: cannot be read behind row 7 \(KeyError in test_original\.py:\d+\)$"
    ):
        rows_of(written(tmp_path, lines(GOOD)))


def test_a_manifest_whose_name_is_no_utf_8_is_named(tmp_path):
    name = b"caf\xe9.csv".decode(errors="surrogateescape")
    with pytest.raises(UserError, match=r"^'caf\\udce9\.csv': the name is not valid UTF-8"):
        list(read.rows(Manifest(name, f"{tmp_path}/{name}", is_folder=False), ManifestSettings(), Storage()))


def test_every_format_is_known():
    assert list(formats.FORMATS) == [
        "jsonl", "json_array", "csv", "tsv", "pipe", "semicolon", "parquet", "arrow", "webdataset",
        "json_list", "json_map", "json_objects", "xlsx",
        "common_voice", "common_voice_spontaneous", "deepspeech", "speechbrain", "fleurs", "gigaspeech",
        "label_studio", "label_studio_table", "lhotse_cuts", "lhotse_supervisions", "lhotse_recordings",
        "kaldi", "common_voice_folder", "lhotse_folder", "fleurs_folder", "mls", "librispeech", "vctk", "aishell",
        "pairs",
    ]  # fmt: skip
