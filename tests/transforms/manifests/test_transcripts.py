"""Files of cues as tools write them: what is read, and what is refused."""

# ruff: noqa: E501 -- tables of files as they stand

import contextlib
import json

import praatio.textgrid
import pympi
import pysubs2
import pytest
import webvtt

from transforms.errors import ClipRejected
from transforms.manifests import elan, transcripts

SPANS = [(0.5, 2.25, "Hello, you."), (2.25, 3.0, "How are you?"), (4.12, 61.5, "Très bien — 好的")]


def cues_of(content, file="a.srt"):
    found = transcripts.read(content if isinstance(content, bytes) else content.encode(), file)
    assert found is not None
    return [(cue.start, cue.end, cue.text) for tier in found.tiers for cue in tier.cues if cue.fault is None]


def subtitles_of(form, **more):
    file = pysubs2.SSAFile()
    for start, end, text in SPANS:
        file.append(pysubs2.SSAEvent(start=round(start * 1000), end=round(end * 1000), text=text))
    return file.to_string(form, **more)


def by_webvtt():
    file = webvtt.WebVTT()
    for start, end, text in SPANS:
        times = [f"00:{int(time // 60):02}:{time % 60:06.3f}" for time in (start, end)]
        file.captions.append(webvtt.Caption(times[0], times[1], text))
    return file.content


def by_praatio(tmp_path, form):
    grid = praatio.textgrid.Textgrid()
    grid.addTier(praatio.textgrid.IntervalTier("said", SPANS, 0, 70))
    grid.addTier(praatio.textgrid.PointTier("clicks", [(1.0, "x")], 0, 70))
    grid.save(str(tmp_path / "a.TextGrid"), form, includeBlankSpaces=True)
    return (tmp_path / "a.TextGrid").read_bytes()


def by_pympi(tmp_path, tier="said", **more):
    file = pympi.Eaf(author="x")
    file.remove_tier("default")
    file.add_tier(tier, **more)
    for start, end, text in SPANS:
        file.add_annotation(tier, round(start * 1000), round(end * 1000), text)
    file.to_file(str(tmp_path / "a.eaf"))
    return (tmp_path / "a.eaf").read_bytes()


WHISPER = {
    "text": "",
    "segments": [{"id": 0, "start": s, "end": e, "text": f" {t}"} for s, e, t in SPANS],
    "language": "fr",
}
X_WORDS = [{"word": "Hello,", "start": 0.5, "end": 1.0, "score": 0.9}, {"word": "2"}]
X = {
    "segments": [{"start": s, "end": e, "text": t, "words": X_WORDS, "speaker": "SPEAKER_00"} for s, e, t in SPANS],
    "word_segments": X_WORDS,
}
CPP = {
    "systeminfo": "AVX = 1",
    "model": {"type": "base"},
    "result": {"language": "fr"},
    "transcription": [
        {
            "timestamps": {"from": "", "to": ""},
            "offsets": {"from": round(s * 1000), "to": round(e * 1000)},
            "text": f" {t}",
        }
        for s, e, t in SPANS
    ],
}
CHUNKS = {"text": "", "chunks": [{"timestamp": [s, e], "text": f" {t}"} for s, e, t in SPANS]}
VERBOSE = {"task": "transcribe", "language": "french", "duration": 62.0, **WHISPER}
LIST = [{"start": s, "end": e, "text": t} for s, e, t in SPANS]
LENGTHS = [{"text": t, "start": s, "duration": e - s} for s, e, t in SPANS]
DEEPGRAM = {
    "metadata": {"duration": 62.0},
    "results": {
        "channels": [{"alternatives": [{"transcript": "x", "words": []}]}],
        "utterances": [{"start": s, "end": e, "transcript": t, "channel": 0, "speaker": 1} for s, e, t in SPANS],
    },
}
AMAZON = {
    "jobName": "x",
    "results": {
        "transcripts": [{"transcript": "x"}],
        "items": [],
        "audio_segments": [{"id": 0, "start_time": str(s), "end_time": str(e), "transcript": t} for s, e, t in SPANS],
    },
}
ASSEMBLY = {
    "id": "x",
    "text": "x",
    "words": [],
    "utterances": [{"speaker": "A", "start": round(s * 1000), "end": round(e * 1000), "text": t} for s, e, t in SPANS],
}
GOOGLE = {
    "results": [
        {
            "alternatives": [
                {"transcript": t, "words": [{"startTime": f"{s}s", "endTime": f"{e - 0.1}s"}, {"endTime": f"{e}s"}]}
            ],
            "resultEndTime": f"{e}s",
        }
        for s, e, t in SPANS
    ]
}
AZURE = {
    "recognizedPhrases": [
        {"offsetInTicks": s * 1e7, "durationInTicks": (e - s) * 1e7, "nBest": [{"display": t, "lexical": "x"}]}
        for s, e, t in SPANS
    ]
}
JSON3 = {
    "events": [
        {"tStartMs": 0, "dDurationMs": 99_000, "id": 1},
        *(
            {"tStartMs": round(s * 1000), "dDurationMs": round((e - s) * 1000), "segs": [{"utf8": t}]}
            for s, e, t in SPANS
        ),
        {"tStartMs": 70_000, "dDurationMs": 10, "aAppend": 1, "segs": [{"utf8": "\n"}]},
    ]
}


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.srt", lambda _: subtitles_of("srt")),
        ("a.srt", lambda _: "\ufeff" + subtitles_of("srt").replace("\n", "\r\n")),
        ("a.srt", lambda _: subtitles_of("srt").replace("\n", "\r")),
        ("a.srt", lambda _: subtitles_of("srt").encode("utf-16")),
        ("a.vtt", lambda _: subtitles_of("vtt")),
        ("a.vtt", lambda _: by_webvtt()),
        ("a.ass", lambda _: subtitles_of("ass")),
        ("a.ssa", lambda _: subtitles_of("ssa")),
        ("a.TextGrid", lambda folder: by_praatio(folder, "long_textgrid")),
        ("a.TextGrid", lambda folder: by_praatio(folder, "short_textgrid")),
        ("a.TextGrid", lambda folder: by_praatio(folder, "long_textgrid").decode().encode("utf-16")),
        ("a.eaf", by_pympi),
        *(
            ("a.json", lambda _, tree=tree, indent=indent: json.dumps(tree, indent=indent, ensure_ascii=not indent))
            for tree in (WHISPER, X, CPP, CHUNKS, VERBOSE, LIST, LENGTHS, DEEPGRAM, AMAZON, ASSEMBLY, GOOGLE, AZURE, JSON3)
            for indent in (None, 2)
        ),
        ("a.tsv", lambda _: "start\tend\ttext\n" + "".join(f"{s * 1000:.0f}\t{e * 1000:.0f}\t{t}\n" for s, e, t in SPANS)),
        ("a.txt", lambda _: "".join(f"{s:.6f}\t{e:.6f}\t{t}\n" for s, e, t in SPANS)),
        ("a.stm", lambda _: ";; x\n" + "".join(f"a 1 spk {s} {e} <o,f0> {t}\n" for s, e, t in SPANS)),
        ("a.ttml", lambda _: subtitles_of("ttml")),
        ("a.ttml", lambda _: '<?xml version="1.0"?><tt:tt xmlns:tt="http://www.w3.org/ns/ttml" xml:lang="en"><tt:body><tt:div>' + "".join(f'<tt:p begin="{s}s" dur="{e - s:.3f}s"><tt:span>{t}</tt:span></tt:p>' for s, e, t in SPANS) + "</tt:div></tt:body></tt:tt>"),
        ("a.sbv", lambda _: "\n".join(f"0:00:{s:06.3f},0:0{e // 60:.0f}:{e % 60:06.3f}\n{t}\n" for s, e, t in SPANS)),
    ],
)  # fmt: skip
def test_what_real_writers_write_is_read(name, write, tmp_path):
    assert cues_of(write(tmp_path), name) == SPANS


@pytest.mark.parametrize(
    ("text", "cues"),
    [
        ("1\n00:00:01,000 --> 00:00:02,000\na\n2\n00:00:03,000 --> 00:00:04,000\n42\n3\n00:00:05,000 --> 00:00:06,000\nb\n",
         [(1, 2, "a"), (3, 4, "42"), (5, 6, "b")]),  # no blank lines between cues
        ("00:00:01,000 --> 00:00:02,000\nin\n2024\n\n00:00:03,000 --> 00:00:04,000\n42\n", [(1, 2, "in 2024"), (3, 4, "42")]),
        ("1\n00:00:01.5 -> 00:00:02\na\n\n2\n0:3,25 --> 1:04\nb\n", [(1.5, 2, "a"), (3.25, 64, "b")]),
        ("1\n 00:00:01,000-->00:00:02,000 X1:0 X2:9\na\n", [(1, 2, "a")]),
        ("1\n00 : 00 : 01 , 000 --> 00:00:02, 000\na\n", [(1, 2, "a")]),
        ("1\n00:00:01,000 --> 00:00:02,000\na\n\nb\n\n2\n00:00:03,000 --> 00:00:04,000\nc\n", [(1, 2, "a b"), (3, 4, "c")]),
        ("1\n00:00:01,000 --> 00:00:02,000\nhe said --> look\n", [(1, 2, "he said --> look")]),
        ("1\n00:00:01,000 --> 00:00:02,000\n\n2\n00:00:03,000 --> 00:00:04,000\n♪ ♪\n3\n00:00:05,000 --> 00:00:06,000\na",
         [(5, 6, "a")]),  # in which nothing is said
        ("1\n00:00:01,000 --> 00:00:02,000\n-", []),
        ("WEBVTT\n\nNOTE x\ny\n\nSTYLE\n::cue {}\n\nid\n00:01.000 --> 00:02.000 line:0\na\n\nNOTE end", [(1, 2, "a")]),
        ("[00:00.500 --> 00:02.000]  a\n[00:02.000 --> 00:03.000]  b\n", [(0.5, 2, "a"), (2, 3, "b")]),
        ("[ar:x]\n[offset:-500]\n[00:01.00]<00:01.00>a <00:01.50>b\n[00:02.5][00:09]c\n[00:04]\n",
         [(1.5, 3, "a b"), (3, 4.5, "c"), (9.5, None, "c")]),
    ],
)  # fmt: skip
def test_subtitles_as_people_have_them(text, cues):
    assert cues_of(text) == cues


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<i>Hello</i> <FONT color=\"#fff\">you</FONT>", "Hello you"),
        ("{\\an8}{\\i1}Hello", "Hello"),
        ("Tom &amp; Jerry&nbsp;&lt;3", "Tom & Jerry <3"),
        ("<c.yellow.bg_blue>a</c><00:00:01.500><c> b</c>", "a b"),
        ("<ruby>漢字<rt>かんじ</rt></ruby>です", "漢字です"),
        ("<lang en>yes</lang>", "yes"),
        ("one\ntwo", "one two"),
        ("你\n好", "你好"),
        ("\u200e\u202bשלום\u202c", "שלום"),
        ("- Hello.\n- Hi.", "- Hello. - Hi."),  # what people wrote stays
        ("[music] (laughs) a < b > c {hm} <unk>", "[music] (laughs) a < b > c {hm} <unk>"),
        ("♪ la la ♪", "♪ la la ♪"),
        ("Subtitles by X", "Subtitles by X"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["1\n00:00:01,000 --> 00:00:02,000\n{}\n", "WEBVTT\n\n00:01.000 --> 00:02.000\n{}\n"])
def test_markup_of_the_format_is_no_text(form, text, said):
    assert cues_of(form.format(text)) == [(1, 2, said)]


ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.230 align:start position:0%
 
hello<00:00:00.480><c> everyone</c>

00:00:02.230 --> 00:00:02.240 align:start position:0%
hello everyone
 

00:00:02.240 --> 00:00:04.550 align:start position:0%
hello everyone
welcome<00:00:02.600><c> to</c>

00:00:04.550 --> 00:00:04.560 align:start position:0%
welcome to
 

00:00:04.560 --> 00:00:06.550 align:start position:0%
welcome to
welcome<00:00:05.600><c> to</c>
"""  # noqa: W293 -- as YouTube writes them


def test_captions_that_roll_are_said_once():
    rolling = [(0.16, 2.23, "hello everyone"), (2.24, 4.55, "welcome to"), (4.56, 6.55, "welcome to")]
    assert cues_of(ROLLING) == rolling
    found = transcripts.read(ROLLING.encode(), "a.vtt")
    assert found is not None
    assert found.language == "en"


def test_a_line_that_is_said_twice_stays():
    text = "1\n00:00:01,000 --> 00:00:02,000\nNo.\n\n2\n00:00:02,000 --> 00:00:03,000\nNo.\nWhat?\n\n"
    text += "3\n00:00:03,000 --> 00:00:04,000\nYes.\n\n4\n00:00:04,000 --> 00:00:05,000\nYes\n"
    assert [said for _, _, said in cues_of(text)] == ["No.", "No. What?", "Yes.", "Yes"]


@pytest.mark.parametrize(
    ("content", "name", "speakers"),
    [
        ("WEBVTT\n\n00:01.000 --> 00:02.000\n<v.loud Mary Ann>Hi</v>\n\n00:03.000 --> 00:04.000\n<v A>x</v> <v B>y</v>", "a.vtt",
         ["Mary Ann", ""]),
        ("1\n00:00:01,000 --> 00:00:02,000\n[SPEAKER_01]: Hi\n\n2\n00:00:03,000 --> 00:00:04,000\nBob: Hi\n", "a.srt",
         ["SPEAKER_01", ""]),
        (json.dumps(X), "a.json", ["SPEAKER_00"] * 3),
        (json.dumps(DEEPGRAM), "a.json", ["1"] * 3),
        ("a 1 Ann 0.5 1.5 <o> hi\n", "a.stm", ["Ann"]),
        ("[Script Info]\n[Events]\nFormat: Start, End, Name, Text\nDialogue: 0:00:01.00,0:00:02.00,Ann,Hi, you\n", "a.ass",
         ["Ann"]),
    ],
)  # fmt: skip
def test_speakers_are_those_of_the_format(content, name, speakers):
    found = transcripts.read(content.encode(), name)
    assert found is not None
    assert [cue.speaker for tier in found.tiers for cue in tier.cues] == speakers


WORDS = [("Hi", 0.0, 0.5), (".", None, None), ("You", 1.0, 1.5), ("?", None, None)]


@pytest.mark.parametrize(
    "tree",
    [
        {"results": {"items": [
            {"type": "punctuation", "alternatives": [{"content": text}]} if start is None else
            {"type": "pronunciation", "start_time": str(start), "end_time": str(end), "alternatives": [{"content": text}]}
            for text, start, end in WORDS]}},
        {"monologues": [{"speaker": 0, "elements": [
            {"type": "punct", "value": f"{text} "} if start is None else {"type": "text", "value": text, "ts": start, "end_ts": end}
            for text, start, end in WORDS]}]},
        {"results": [
            {"type": "punctuation", "alternatives": [{"content": text}]} if start is None else
            {"type": "word", "start_time": start, "end_time": end, "alternatives": [{"content": text}]}
            for text, start, end in WORDS]},
    ],
)  # fmt: skip
def test_marks_belong_to_the_word_before(tree):
    assert cues_of(json.dumps(tree), "a.json") == [(0.0, 0.5, "Hi."), (1.0, 1.5, "You?")]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("talk 1 0.50 0.25 Hi.\n;; note\ntalk A 1.00 0.50 you 0.98\n", "a.ctm"),
        (json.dumps({"result": [{"conf": 1.0, "start": 0.5, "end": 0.75, "word": "Hi."},
                                {"conf": 1.0, "start": 1.0, "end": 1.5, "word": "you"}], "text": "hi you"}), "a.json"),
        (json.dumps({"task": "transcribe", "text": "Hi you", "words": [{"word": "Hi.", "start": 0.5, "end": 0.75},
                                                                      {"word": "you", "start": 1.0, "end": 1.5}]}), "a.json"),
    ],
)  # fmt: skip
def test_words_with_times_are_cues(content, name):
    assert cues_of(content, name) == [(0.5, 0.75, "Hi."), (1.0, 1.5, "you")]


def test_whole_numbers_that_nobody_speaks_as_slowly_are_milliseconds():
    quick = [{"start": 1000, "end": 3000, "text": "hello there"}, {"start": 3000, "end": 4000, "text": "you"}]
    assert cues_of(json.dumps(quick), "a.json") == [(1, 3, "hello there"), (3, 4, "you")]
    slow = [{"start": 1, "end": 3, "text": "hello there"}, {"start": 3, "end": 4, "text": "you"}]
    assert cues_of(json.dumps(slow), "a.json") == [(1, 3, "hello there"), (3, 4, "you")]


@pytest.mark.parametrize(
    ("begin", "end", "span"),
    [
        ("00:00:01.500", "00:01:02", (1.5, 62.0)),
        ("00:00:01:12", "00:00:02:00", (1.48, 2.0)),  # of 25 frames a second
        ("15000000t", "20000000t", (1.5, 2.0)),
        ("1500ms", "0.1m", (1.5, 6.0)),
        ("50f", "0.001h", (2.0, 3.6)),
    ],
)
def test_times_of_timed_text(begin, end, span):
    head = '<tt xmlns:ttp="x" ttp:frameRate="25" ttp:tickRate="10000000" xml:lang="fr">'
    text = f'{head}<body><p begin="{begin}" end="{end}">one<br/>two &amp;\n   <b>three</b></p><p>x</p></body></tt>'
    found = transcripts.read(text.encode(), "a.ttml")
    assert found is not None
    (cue,) = found.tiers[0].cues
    assert (cue.start, cue.end, cue.text, found.language) == (*span, "one two & three", "fr")


def test_a_paragraph_whose_times_are_not_understood_costs_its_cue():
    found = transcripts.read(b'<tt><p begin="soon" end="2s">a</p><p begin="1s" end="2s">b</p></tt>', "a.ttml")
    assert found is not None
    assert [(cue.text, cue.fault is None) for cue in found.tiers[0].cues] == [("a", False), ("b", True)]


EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">
<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/x/talk%201.wav" MIME_TYPE="audio/x-wav" RELATIVE_MEDIA_URL="./talk%201.wav"{origin}/></HEADER>
<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/><TIME_SLOT TIME_SLOT_ID="ts2"/>
<TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="2000"/></TIME_ORDER>
<TIER LINGUISTIC_TYPE_REF="d" PARTICIPANT="Ann" TIER_ID="a">
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts3">
<ANNOTATION_VALUE>Tom &amp;
 Ann</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
<ANNOTATION_VALUE>half</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
<TIER LINGUISTIC_TYPE_REF="t" PARENT_REF="a" TIER_ID="words">
<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a1"><ANNOTATION_VALUE>Tom</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a4" ANNOTATION_REF="a1" PREVIOUS_ANNOTATION="a3"><ANNOTATION_VALUE>et Ann</ANNOTATION_VALUE>
</REF_ANNOTATION></ANNOTATION></TIER>
</ANNOTATION_DOCUMENT>"""


def test_annotations_of_elan():
    found = transcripts.read(EAF.format(origin="").encode(), "a.eaf")
    assert found is not None
    assert (found.media, [tier.name for tier in found.tiers]) == ("talk 1.wav", ["a"])
    first, second = found.tiers[0].cues
    assert (first.start, first.end, first.text, first.speaker) == (0.5, 2.0, "Tom & Ann", "Ann")
    assert second.fault is not None
    assert second.fault.detail.startswith("the annotation has no times of its own")
    (words,) = found.dependent  # the parts of one annotation are its text
    assert [(cue.start, cue.end, cue.text) for cue in words.cues] == [(0.5, 2.0, "Tom et Ann")]


def test_elans_clock_may_begin_within_the_recording():
    assert cues_of(EAF.format(origin=' TIME_ORIGIN="10000"'), "a.eaf")[0][:2] == (10.5, 12.0)


BOMB = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><ANNOTATION_DOCUMENT>&b;</ANNOTATION_DOCUMENT>'
LONG = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n10\n<exists>\n1\n"IntervalTier"\n"A"\n0\n10\n1\n0\n2\n"hi"\n'


@pytest.mark.parametrize(
    ("content", "reason", "detail"),
    [
        (BOMB.replace("<!DOCTYPE", "\n<!DOCTYPE"), "bad_field", "its XML declares entities"),
        ("<ANNOTATION_DOCUMENT><!-- x --><TIER></ANNOTATION_DOCUMENT>", "bad_field", "it is no well-formed XML: see line 1"),
        ('<?xml version="1.0" encoding="klingon"?><ANNOTATION_DOCUMENT/>', "bad_field", "it is no well-formed XML"),
        (LONG[:-5], "bad_field", "it is damaged: in line 14 there is its end, where a string is to be"),
        (LONG.replace('"hi"', '"hi'), "bad_field", "it is damaged: in line 15 there is a quote, where a string is to be"),
        (LONG.replace("\n1\n0\n2", "\n999999999999\n0\n2"), "bad_field", "in the place of a count"),
        (LONG.replace("\n1\n0\n2", "\n1e999\n0\n2"), "bad_field", "inf in the place of a count"),
        ("1\n" * 600_000 + "\r" * 500_000, "bad_field", "has over 1,000,000 lines"),
        (LONG.replace('"IntervalTier"', '"Pitch"'), "bad_field", "a tier of class 'Pitch'"),
        (LONG.replace('"TextGrid"', '"PitchTier"'), "bad_field", "it holds 'PitchTier' of Praat's, not a TextGrid"),
        (b"1\n00:00:01,000 --> 00:00:02,000\ncaf\xe9 \xff\n", "bad_field", "is not valid UTF-8"),
        ("start\tend\ttext\n1\tx\thello\n", "bad_field", "line 2 has no start and end before its text"),
        ("{1}{25}hello\n", "timed_text", "subtitles (MicroDVD)"),
        ("<transcript><text start='1' dur='2'>a</text></transcript>".join(["<?xml version='1.0'?>", ""]), "timed_text", "XML"),
        ("<tt><body><p begin='1s'>a</body></tt>", "bad_field", "it is no well-formed XML"),
        *(
            (content, "timed_text", "holds JSON, as recognizers write it")
            for content in (
                '{"text": "hello"}',
                '{"segments": [{"start": 1, "text": 5}]}',
                '{"segments": [null, 3]}',
                '{"results": {"items": [{"type": "punctuation"}, 5]}}',
                '{"monologues": [{"elements": {"a": 1}}, 4]}',
            )
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_reason(content, reason, detail):
    with pytest.raises(ClipRejected) as found:
        transcripts.read(content if isinstance(content, bytes) else content.encode(), "a.txt")
    assert found.value.reason.name == reason
    assert detail in found.value.detail


@pytest.mark.parametrize(
    "content",
    [
        "hello",
        "{hm} hello",
        "[laughs] hello",
        '{"speaker": "x", "segments": 3}',
        "[1, 2]",
        "[" * 100_000,
        "",
    ],
)
def test_what_holds_no_times_is_a_text_or_nothing(content):
    assert transcripts.read(content.encode(), "a.txt") is None


@pytest.mark.parametrize(
    ("text", "times"),
    [
        (
            "00:00:01:12 --> 00:00:02:00",
            "00:00:01:12 --> 00:00:02:00",
        ),  # frames, of which nobody says how many are a second
        ("-00:00:01,000 --> 00:00:02,000", "-00:00:01,000 --> 00:00:02,000"),
        (f"{'9' * 250}:00:01,000 --> 00:00:02,000", "9" * 200),
    ],
)
def test_times_that_are_not_understood_cost_their_cue(text, times):
    found = transcripts.read(f"1\n{text}\na\n\n2\n00:00:03,000 --> 00:00:04,000\nb\n".encode(), "a.srt")
    assert found is not None
    bad, good = found.tiers[0].cues
    assert (bad.times, bad.text, bad.fault is not None) == (times, "a", True)
    assert (good.text, good.fault) == ("b", None)


@pytest.mark.parametrize(
    "filling",
    [
        " ",
        "1:",
        "1:1 ",
        "-",
        "<rt>",
        "<v ",
        "<v a",
        "{\\p1",
        "<",
        "&",
        '"',
        '""',
        "! ",
        "<!-- -->",
        "[00:01.00]",
        "[a",
        "'",
        "a ",
        "(",
        "\t",
    ],
)
@pytest.mark.parametrize(
    "head",
    [
        "1\n00:00:01,000 --> 00:00:02,000\n",
        "1\n00:00:01,000 --> ",
        "[Script Info]\n[Events]\nFormat: Start,End,Text\nDialogue: 0:00:01.00,0:00:02.00,{",
        '"ooTextFile"\n"TextGrid"\n0\n1\n<exists>\n1\n"IntervalTier"\n',
        "<?xml version='1.0'?>",
        "",
    ],
)
def test_a_line_of_anything_ends(head, filling):
    """Who tries every way to read a long line does not end while the test lasts."""
    content = (head + filling * (1_000_000 // len(filling))).encode()
    for name in ("a.srt", "a.ctm", "a.stm"):
        with contextlib.suppress(ClipRejected):
            found = transcripts.read(content, name)
            assert found is None or len(found.tiers) <= 1


def test_a_fault_of_ours_costs_the_file_and_no_run(monkeypatch):
    def read(content):
        return 1 / len(content[:0])

    monkeypatch.setattr(elan, "read", read)
    with pytest.raises(ClipRejected) as found:
        transcripts.read(b"<ANNOTATION_DOCUMENT/>", "a.eaf")
    assert found.value.reason.name == "decoder_fault"
    assert found.value.detail.startswith("a.eaf: ")
