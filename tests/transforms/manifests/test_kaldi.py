"""Kaldi data folders: utterances, texts without one, segments and commands."""

import tracemalloc

import pytest

from tests.transforms.manifests.written import rows_of, summary
from transforms import reasons
from transforms.manifests.kaldi import read
from transforms.storage import Storage


def kaldi(tmp_path, **files):
    folder = tmp_path / "data"
    folder.mkdir()
    for name, content in files.items():
        (folder / name.replace("wav_scp", "wav.scp")).write_text(content)
    return rows_of(folder)


def test_a_kaldi_folder(tmp_path):
    rows = kaldi(
        tmp_path,
        wav_scp="u1 a.wav\nu2 sox b.mp3 -t wav - |\nu3 /data/c d.wav\nu4 e.wav\n",
        text="u1 hello there\nu2 x\nu3\tworld\nu9 nobody said this\n",
        utt2spk="u1 anna\n",
    )
    assert summary(rows) == [
        ("u1", "data/a.wav", "hello there"),
        ("data/wav.scp:2", reasons.NOT_A_PATH.name),
        ("u3", "/data/c d.wav", "world"),
        ("data/wav.scp:4", reasons.MISSING_TEXT.name),
        ("data/text:4", reasons.MISSING_AUDIO.name),
    ]
    assert rows[0].group == "anna"


@pytest.mark.parametrize(
    "saved",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
    ],
)
def test_files_as_other_systems_save_them(tmp_path, saved):
    (tmp_path / "wav.scp").write_bytes(saved("u1 a.wav\nu2 b.wav\n"))
    (tmp_path / "text").write_bytes(saved("u1 où\nu2 there\n"))
    assert [row[::2] for row in summary(rows_of(tmp_path))] == [("u1", "où"), ("u2", "there")]


def test_segments_of_a_kaldi_folder(tmp_path):
    rows = kaldi(
        tmp_path,
        wav_scp="r1 a.wav\n",
        segments="u1 r1 0.5 2.25\nu2 r1 3 -1\nu3 r2 0 1\nu4 r1 soon 2\nu5 r1 2 1\n",
        text="u1 one\nu2 two\nu3 three\nu4 four\nu5 five\n",
    )
    assert [(row.clip_id, row.uri, row.offset, row.duration) for row in rows[:2]] == [
        ("u1", "data/a.wav", 0.5, 1.75),
        ("u2", "data/a.wav", 3.0, None),
    ]
    assert [(row.source, row.reason) for row in rows[2:]] == [
        ("data/segments:3", reasons.MISSING_AUDIO.name),
        ("data/segments:4", reasons.BAD_FIELD.name),
        ("data/segments:5", reasons.BAD_FIELD.name),
    ]


def test_sides_of_a_call_in_a_kaldi_folder(tmp_path):
    rows = kaldi(
        tmp_path,
        wav_scp="c1-A c1.wav\nc1-B c1.wav\nc2-A c2a.wav\nc2-B c2b.wav\n",
        reco2file_and_channel="c1-A c1 A\nc1-B c1 B\nc2-A c2 A\nc2-B c2 B\n",
        text="c1-A hello\nc1-B who is there\nc2-A hello\nc2-B yes\n",
    )
    # Each side of the second call has a file of its own.
    assert [(row.clip_id, row.uri, row.channel) for row in rows] == [
        ("c1-A", "data/c1.wav", 0),
        ("c1-B", "data/c1.wav", 1),
        ("c2-A", "data/c2a.wav", None),
        ("c2-B", "data/c2b.wav", None),
    ]


def test_channels_of_segments_in_a_kaldi_folder(tmp_path):
    rows = kaldi(
        tmp_path,
        wav_scp="r1 a.wav\n",
        segments="u1 r1 0.5 2.25 0\nu2 r1 3 4 1\nu3 r1 3 4\n",
        text="u1 one\nu2 two\nu3 three\n",
    )
    assert [(row.clip_id, row.channel) for row in rows] == [("u1", 0), ("u2", 1), ("u3", None)]


def test_a_line_that_is_no_utf_8_costs_its_row(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "wav.scp").write_bytes(b"u1 a.wav\nu2 b.wav\n\xff c.wav\n")
    (folder / "text").write_bytes(b"u1 hello\nu2 caf\xe9\n")
    (folder / "utt2spk").write_bytes(b"u1 \xe9\n")
    assert summary(rows_of(folder)) == [
        ("u1", "data/a.wav", "hello"),
        ("data/wav.scp:2", reasons.MISSING_TEXT.name),
        ("data/text:2", reasons.BAD_ROW.name),
        ("data/wav.scp:3", reasons.BAD_ROW.name),
    ]


def test_files_need_not_be_sorted_and_the_last_of_two_lines_counts(tmp_path):
    rows = kaldi(
        tmp_path,
        wav_scp="u3 c.wav\nu1 a.wav\nu2 b.wav\n",
        text="u2 first\nu9 nobody\nu1 one\nu2 two\nu0 said this\nu3 th\0ree\n",
        utt2spk="u2 bert\nu1 anna\nu3 carl\n",
    )
    assert [(row.clip_id, row.group) for row in rows[:3]] == [("u3", "carl"), ("u1", "anna"), ("u2", "bert")]
    assert [row.target for row in rows[:3]] == ["th\0ree", "one", "two"]
    assert [row.source for row in rows[3:]] == ["data/text:2", "data/text:5"]


@pytest.mark.sweep
def test_many_utterances_take_no_memory_of_their_own(tmp_path):
    (tmp_path / "wav.scp").write_text("".join(f"u{index:06d} |\n" for index in range(20_000)))
    (tmp_path / "text").write_text("".join(f"u{index:06d} {'word ' * 400}\n" for index in range(20_000)))
    tracemalloc.start()
    try:
        assert sum(1 for _ in read(str(tmp_path), "data", Storage())) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
