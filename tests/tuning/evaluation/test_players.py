"""The recordings on the page: those of the clips that are shown, nothing else, and no more than there is room for."""

import base64
import io
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.tuning.conftest import prepare
from tests.tuning.test_evaluate import answered, evaluated, noted
from transforms.payloads import PAYLOADS, Payload
from transforms.storage import Storage
from tuning import dataset
from tuning.evaluation import clips, page, players
from tuning.evaluation.answers import Answer

SETTINGS: dict[str, dict[str, Any]] = {
    "flac": {},
    "wav": {"audio_format": "wav", "json_names": "camelCase"},
    "mp3": {"audio_format": "mp3", "bitrate": 64},
    "aac": {"audio_format": "aac", "bitrate": 64},
    "uri": {"audio_part": "uri", "audio_uri": "gs://nobody/audio"},
    "uri, camelCase": {"audio_part": "uri", "audio_uri": "gs://nobody/audio", "json_names": "camelCase"},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A dataset with these settings, made once."""
    found: dict[str, str] = {}

    def make(name):
        if name not in found:
            folder = tmp_path_factory.mktemp("players")
            found[name] = str(prepare(folder, count=30, clips_per_shard=8, validation_fraction=0.5, **SETTINGS[name]))
        return found[name]

    return make


@pytest.fixture
def dataset_of(made, tmp_path):
    def copy(name):
        return dataset.load(str(shutil.copytree(made(name), tmp_path / "out")), Storage())

    return copy


def content(uri):
    return base64.b64decode(uri.partition(",")[2])


@pytest.mark.parametrize("name", SETTINGS)
def test_they_are_what_the_model_is_given(name, dataset_of):
    prepared = dataset_of(name)
    held_out = clips.of(prepared, "validation")
    found = players.uris_of(prepared, "validation", held_out, 5_000_000)
    assert list(found) == [clip.clip_id for clip in held_out]
    digests = {row["clip_id"]: row["audio_sha256"] for row in prepared.ledger_rows(["clip_id", "audio_sha256"])}
    types = {"flac": "flac", "wav": "wav", "mp3": "mpeg", "aac": "aac"}
    for clip_id, uri in found.items():
        assert uri.startswith(f"data:audio/{types.get(name, 'flac')};base64,")
        assert Payload(content(uri), "").sha256 == digests[clip_id]


def test_there_is_a_type_for_every_payload():
    assert players._TYPES.keys() == {form.mime_type for form in PAYLOADS.values()}


def test_where_not_all_fit_they_are_encoded_again_and_the_first_ones_come_first(dataset_of):
    prepared = dataset_of("wav")
    held_out = clips.of(prepared, "validation")
    told: list[int] = []
    room = 16_000
    found = players.uris_of(prepared, "validation", held_out, room, told.append)
    assert told == [*range(1, len(held_out) + 1)]
    assert sum(map(len, found.values())) <= room
    assert all(uri.startswith("data:audio/mpeg;base64,") for uri in found.values())
    assert list(found) == [clip.clip_id for clip in held_out][: len(found)]
    samples, rate = soundfile.read(io.BytesIO(content(next(iter(found.values())))))
    assert (rate, samples.ndim) == (16_000, 1)
    assert held_out[0].seconds <= len(samples) / rate <= held_out[0].seconds + 0.3
    least = min(map(len, found.values()))
    assert len(players.uris_of(prepared, "validation", held_out, least, told.append)) <= 1
    assert players.uris_of(prepared, "validation", held_out, 0) == {}


def test_what_was_altered_or_moved_is_left_out(dataset_of):
    prepared = dataset_of("uri")
    held_out = clips.of(prepared, "validation")
    rows = prepared.ledger_rows(["audio_sha256", "split"])
    first, second, *_ = [row["audio_sha256"] for row in rows if row["split"] == "validation"]
    folder = f"{prepared.uri}/audio"
    prepared.storage.delete(f"{folder}/{first[:2]}/{first}.flac")
    prepared.storage.write_bytes(f"{folder}/{second[:2]}/{second}.flac", b"another")
    found = players.uris_of(prepared, "validation", held_out, 5_000_000)
    assert list(found) == [clip.clip_id for clip in held_out][2:]


def test_a_line_that_was_altered_behind_the_look_at_the_clips_is_left_out(dataset_of):
    prepared = dataset_of("flac")
    held_out = clips.of(prepared, "validation")
    for shard in prepared.splits["validation"]:
        uri = f"{prepared.uri}/{shard.path}"
        prepared.storage.write_bytes(uri, prepared.storage.read_bytes(uri).replace(b"text", b"test"))
    assert players.uris_of(prepared, "validation", held_out, 5_000_000) == {}


def test_an_example_leads_to_no_file_but_the_datasets_own(dataset_of):
    prepared = dataset_of("uri")
    for uri in ("gs://b/audio/../../secret.flac", "/etc/passwd", f"gs://b/{'../' * 21}a.flac", "gs://b/x"):
        with_it = {"mime_type": "audio/flac", "file_uri": uri}
        assert players._of_part(prepared, with_it) is None
    assert players._of_part(prepared, {"mime_type": "text/html", "data": "AAAA"}) is None


def test_the_clips_of_several_lists_come_in_turn_and_once():
    held_out = [clips.HeldOut(name, "", "", "", "") for name in "abcd"]
    one, two, three, four = held_out
    assert players.in_turn([[one, two, three], [], [two, four]]) == [one, two, four, three]


def test_the_page_has_each_recording_once_and_may_play_only_what_it_holds(dataset_of):
    prepared = dataset_of("flac")
    noted(prepared)
    answered(prepared, "predictions-validation-gemini-3.5-flash", lambda clip: "no")
    answered(prepared, "predictions-validation-another", lambda clip: "this is text")
    found, _ = evaluated(prepared)
    shown = prepared.storage.read_bytes(f"{prepared.uri}/evaluation/evaluation.html").decode()
    assert shown.count("<audio ") == found.clips == 6
    assert len({*re.findall(r'src="data:audio/flac;base64,([^"]+)"', shown)}) == 6
    assert re.search(r'content="default-src \'none\'; style-src \'sha256-[^\']+\'; media-src data:"', shown)
    held_out = clips.of(prepared, "validation")
    for number, clip in enumerate(held_out, 1):
        assert clip.source in shown  # file:line
        assert f'aria-label="recording of {clip.clip_id}, 0.5 seconds' in shown
        assert shown.count(f'id="clip{number}"') == 1
    assert shown.count('<a href="#clip') == 2 * 6  # the second system's, and those drawn at random
    assert "<del>this</del> <ins>no</ins> <del>is text" in shown
    assert "Clips drawn at random" in shown


def test_a_page_stays_under_five_megabytes_whatever_was_said(dataset_of, monkeypatch):
    prepared = dataset_of("wav")
    noted(prepared)
    for name in ("gemini-3.5-flash", "another", "third"):
        answered(prepared, f"predictions-validation-{name}", lambda clip: "\U000e0001 &" * 5_000 + "x" * 100_000)
    evaluated(prepared)
    shown = prepared.storage.read_bytes(f"{prepared.uri}/evaluation/evaluation.html")
    assert len(shown) <= page.MAX_PAGE_BYTES == 5_000_000
    assert shown.count(b"<audio ") == 6
    monkeypatch.setattr(page, "MAX_CLIPS_CHARS", 10)
    evaluated(prepared)
    shown = prepared.storage.read_bytes(f"{prepared.uri}/evaluation/evaluation.html")
    assert b"<audio " not in shown
    assert b"6 more are in scores.parquet" in shown


def test_texts_without_spaces_are_aligned_by_characters():
    clip = clips.HeldOut("c", "m:1", "", "", "今日は晴れです")
    assert page._words(clip, Answer("今日も晴れでした")) == (
        "今日<del>は</del> <ins>も</ins>晴れで<ins>し</ins><del>す</del> <ins>た</ins>"
    )


@pytest.mark.parametrize(("words", "cut"), [(page.MAX_WORDS, False), (page.MAX_WORDS + 1, True)])
def test_of_a_long_answer_the_beginning_is_shown(words, cut):
    clip = clips.HeldOut("c", "m:1", "", "", " ".join(["a"] * words))
    assert page._words(clip, Answer(clip.target)).endswith("…") == cut


@pytest.mark.parametrize("name", ["flac", "uri"])
def test_the_recordings_of_a_dataset_in_a_bucket_are_found_there(name, made, bucket):
    folder = Path(made(name))
    for path in filter(Path.is_file, folder.rglob("*")):
        Storage().write_bytes(f"{bucket}/out/{path.relative_to(folder)}", path.read_bytes())
    prepared = dataset.load(f"{bucket}/out", Storage())
    held_out = clips.of(prepared, "validation")
    found = players.uris_of(prepared, "validation", held_out, 5_000_000)
    assert list(found) == [clip.clip_id for clip in held_out]
