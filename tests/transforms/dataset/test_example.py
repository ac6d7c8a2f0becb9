import json
from contextlib import nullcontext
from hashlib import sha256

import pytest
from google.cloud.aiplatform_v1beta1.types import GeminiExample
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from transforms import limits
from transforms.clip import Clip
from transforms.dataset import example
from transforms.errors import ClipRejected
from transforms.payloads import Payload
from transforms.settings import Settings

PAYLOAD = Payload(b"fLaC\0\1\2", "audio/flac")
CLIP = Clip("c", "a.wav", "the target")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def test_the_line_of_the_contract():
    line = example.line(CLIP, PAYLOAD, Settings(prompt="Transcribe."))
    assert line == (
        b'{"contents":[{"role":"user","parts":[{"text":"Transcribe."},{"inline_data":{"mime_type":"audio/flac",'
        b'"data":"ZkxhQwABAg=="}}]},{"role":"model","parts":[{"text":"the target"}]}]}\n'
    )


def test_the_documentations_spelling():
    clip = Clip("c", "a.wav", "t", prompt="Say.", system_instruction="Be brief.")
    assert json.loads(example.line(clip, PAYLOAD, Settings(json_names="camelCase"))) == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {
                "role": "user",
                "parts": [{"text": "Say."}, {"inlineData": {"mimeType": "audio/flac", "data": "ZkxhQwABAg=="}}],
            },
            {"role": "model", "parts": [{"text": "t"}]},
        ],
    }


@given(TEXT, TEXT, st.sampled_from(["snake_case", "camelCase"]))
def test_any_text_is_one_line_that_the_services_schema_takes(prompt, target, names):
    line = example.line(Clip("c", "a", target, prompt=prompt), PAYLOAD, Settings(json_names=names))
    assert line.count(b"\n") == 1
    row = json_format.Parse(line, GeminiExample.pb()())
    assert row.contents[1].parts[0].text == target
    assert row.contents[0].parts[0].text == prompt
    assert row.contents[0].parts[1].inline_data.data == PAYLOAD.content


@pytest.mark.parametrize(("over", "accepted"), [(0, True), (1, False)])
def test_the_limit_counts_the_whole_line(over, accepted):
    size = len(example.line(CLIP, PAYLOAD, Settings()))
    settings = Settings(max_example_bytes=size - over)
    if accepted:
        assert len(example.line(CLIP, PAYLOAD, settings)) == size
    else:
        with pytest.raises(ClipRejected, match=f"{size} bytes.*max_example_bytes={size - 1}"):
            example.line(CLIP, PAYLOAD, settings)


@pytest.mark.parametrize(
    ("limit", "value", "told"),
    [
        ("MAX_AUDIO_BYTES", len(PAYLOAD.content), None),
        ("MAX_AUDIO_BYTES", len(PAYLOAD.content) - 1, "the audio would have"),
        ("MAX_TOKENS_PER_EXAMPLE", 64 + 6, None),
        ("MAX_TOKENS_PER_EXAMPLE", 64 + 5, "2 s of audio and 21 characters are about 70 tokens"),
    ],
)
@pytest.mark.parametrize("audio_part", ["inline", "uri"])
def test_what_the_service_takes_at_most(monkeypatch, audio_part, limit, value, told):
    monkeypatch.setattr(limits, limit, value)
    uri = "gs://b" if audio_part == "uri" else ""
    settings = Settings(prompt="Transcribe.", audio_part=audio_part, audio_uri=uri, max_example_bytes=10**12)
    with pytest.raises(ClipRejected, match=told) if told else nullcontext():
        example.line(CLIP, PAYLOAD, settings, seconds=2.0)


@pytest.mark.parametrize(
    ("names", "part"),
    [
        ("snake_case", '{"file_data":{"mime_type":"audio/flac","file_uri":"%s"}}'),
        ("camelCase", '{"fileData":{"mimeType":"audio/flac","fileUri":"%s"}}'),
    ],
)
def test_the_line_that_points_to_its_audio(names, part):
    settings = Settings(prompt="Transcribe.", audio_part="uri", audio_uri="gs://b/d/audio", json_names=names)
    digest = sha256(PAYLOAD.content).hexdigest()
    uri = f"gs://b/d/audio/{digest[:2]}/{digest}.flac"
    line = example.line(CLIP, PAYLOAD, settings)
    assert line.decode() == (
        '{"contents":[{"role":"user","parts":[{"text":"Transcribe."},'
        + part % uri
        + ']},{"role":"model","parts":[{"text":"the target"}]}]}\n'
    )
    json_format.Parse(line, GeminiExample.pb()())
