"""Tables that are not in UTF-8: read where one reading is possible, else refused with each, or read as a flag says."""

import io

import pytest

from tests.transforms.manifests.written import CSV, A, B, lines, rows_of, summary, written
from transforms import reasons
from transforms.errors import UserError
from transforms.manifests import encodings, read
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.locate import Manifest
from transforms.manifests.reading import Reading
from transforms.storage import Storage

WESTERN = {
    "French": "Déjà vu, où êtes-vous ? L’été à Noël.",
    "German": "Über die Straße, schöne Grüße „gut“",
    "Spanish": "¿Dónde está el niño? ¡Allí!",
    "Portuguese": "Não há coração, três lições",
    "Italian": "Perché è così",
    "Swedish": "Åsa åt ägg på en ö",
    "Danish": "Rødgrød med fløde på",
    "English": "it’s “fine” – really… £5",
}
# The encoding that must be among those that are shown.
OTHERS = {
    "Polish": ("cp1250", "Zażółć gęślą jaźń"),
    "Czech": ("cp1250", "Příliš žluťoučký kůň"),
    "Hungarian": ("cp1250", "jó napot kívánok, szép idő"),
    "Romanian": ("cp1250", "mâine în oraş"),
    "Turkish": ("cp1254", "Günaydın, nasılsın? Şişli'de"),
    "Lithuanian": ("cp1257", "Labas rytas, ačiū, žąsis"),
    "Russian": ("cp1251", "Привет, как дела? Хорошо"),
    "Russian on Unix": ("koi8-r", "Привет, как дела? Хорошо"),
    "Ukrainian": ("cp1251", "Її ґанок є тут"),
    "Greek": ("cp1253", "Καλημέρα σας, τι κάνετε"),
    "Japanese": ("cp932", "こんにちは、世界。テスト"),
    "Chinese": ("gb18030", "今天天气很好，我们去公园。"),
    "Chinese of Taiwan": ("big5", "今天天氣很好，我們去公園。"),
    "Korean": ("cp949", "안녕하세요 세계"),
    "French on an old Mac": ("mac-roman", "Déjà vu, où êtes-vous"),
}


def table(text):
    return "audio;text\r\n" + "".join(f'{index}.wav;"{text}"\r\n' for index in range(3))


def read_as(path, **settings):
    reading = Reading(path.name)
    manifest = Manifest(path.name, str(path), is_folder=False)
    rows = list(read.rows(manifest, ManifestSettings(**settings), Storage(), reading))
    return rows, reading.recognised().format


@pytest.mark.parametrize("language", WESTERN)
def test_windows_1252_is_read_and_said(tmp_path, language):
    rows, form = read_as(written(tmp_path, table(WESTERN[language]).encode("cp1252"), "m.csv"))
    assert [row.target for row in rows] == [WESTERN[language]] * 3
    assert form == "CSV with semicolons, Windows-1252"


@pytest.mark.parametrize("language", OTHERS)
def test_every_other_encoding_is_shown_and_read_when_it_is_named(tmp_path, language):
    encoding, text = OTHERS[language]
    path = written(tmp_path, table(text).encode(encoding), "m.csv")
    with pytest.raises(
        UserError, match=rf"^m\.csv: it is not in UTF-8; line 2 is .*{text[:8]}.* in {encoding}"
    ) as stop:
        rows_of(path)
    assert "--manifest_encoding=" in str(stop.value)
    rows, form = read_as(path, encoding=encoding)
    assert [row.target for row in rows] == [text] * 3
    assert form == f"CSV with semicolons, {encodings.title_of(encoding)}"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (CSV.encode("utf-16"), "cp1252"),  # what a byte order mark says is certain
        (CSV.encode("utf-16-le"), "utf-16"),
        (("\ufeff" + CSV).encode(), "cp1252"),
        (CSV.encode(), "shift_jis"),
        (
            lines({"id": "a", "audio": "a.wav", "text": "hello"}, {"id": "b", "audio": "x/b.wav", "text": "world"}),
            "cp932",
        ),
    ],
)
def test_a_flag_garbles_nothing_that_is_certain(tmp_path, content, encoding):
    assert summary(rows_of(written(tmp_path, content), encoding=encoding)) == [A, B]


def test_utf_8_is_not_read_as_something_else(tmp_path):
    path = written(tmp_path, table("café"), "m.csv")
    assert [row.target for row in rows_of(path)] == ["café"] * 3
    with pytest.raises(UserError, match="is in UTF-8, and --manifest_encoding=cp1252 would garble it"):
        rows_of(path, encoding="cp1252")


def test_rows_in_another_encoding_among_rows_in_utf_8_are_at_fault(tmp_path):
    content = table("café").encode() + b'4.wav;"caf\xe9"\r\n'
    assert summary(rows_of(written(tmp_path, content, "m.csv")))[3] == ("m.csv:5", reasons.BAD_ROW.name)


def test_a_row_that_is_not_in_the_named_encoding_is_at_fault(tmp_path):
    content = table("テスト").encode("cp932") + b"4.wav;\x81\xff\r\n"
    rows = summary(rows_of(written(tmp_path, content, "m.csv"), encoding="cp932"))
    assert rows[3] == ("m.csv:5", reasons.BAD_ROW.name)
    assert [row[2] for row in rows[:3]] == ["テスト"] * 3


@pytest.mark.parametrize("share", [0.04, 0.06])
def test_few_rows_in_doubt_are_rows_and_many_stop_the_run(tmp_path, share):
    rows = ["audio;text"] + [f"{index}.wav;hello" for index in range(99)]
    for index in range(int(share * 100)):
        rows[10 * index + 5] = f"{index}.wav;idő"
    path = written(tmp_path, "\n".join(rows).encode("cp1250"), "m.csv")
    if share < 0.05:
        assert sum(row[1] == reasons.BAD_ROW.name for row in summary(rows_of(path)) if len(row) == 2) == 4
    else:
        with pytest.raises(UserError, match=r"'0\.wav;idõ' in cp1252 or '0\.wav;idő' in cp1250"):
            rows_of(path)


@pytest.mark.parametrize("content", [b"\xff", b"\xff\xfe\x80 a", b"\x98\x9d \x81", bytes(range(128, 256))])
def test_what_is_no_writing_is_in_no_encoding(content):
    assert encodings.detected(io.BytesIO(b"audio;text\na.wav;" + content + b"\n"), "m.csv") == ""


@pytest.mark.parametrize(
    ("name", "known"),
    [("", True), ("cp1252", True), ("Shift_JIS", True), ("nope", False), ("hex", False), ("zip", False)],
)
def test_names_of_encodings(name, known):
    assert encodings.known(name) is known


def test_long_tables_are_read_a_block_at_a_time(tmp_path):
    text = "année " * 10
    content = "audio;text\n" + "".join(f"{index}.wav;{text}\n" for index in range(20_000))
    rows = rows_of(written(tmp_path, content.encode("cp1252"), "m.csv"))
    assert {row.target for row in rows} == {text}
    assert len(rows) == 20_000
