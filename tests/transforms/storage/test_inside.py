"""URIs of recordings inside other files: read as they are written, and those of no file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.storage import inside
from transforms.storage.inside import Place

NAMES = st.text(max_size=20)
FILES = st.text(min_size=1, max_size=20).filter(lambda name: not name.endswith("/"))
NUMBERS = st.integers(0, 10**18 - 1)


@given(FILES, NAMES, NUMBERS, NUMBERS)
def test_a_range_of_bytes_is_read_as_it_is_written(file, name, offset, size):
    place = Place(file, name, offset=offset, size=size)
    assert inside.place_of(place.spelled()) == place
    assert (inside.file_of(place.spelled()), inside.name_of(place.spelled())) == (file, name)


@given(FILES, NAMES, st.integers(1, 10**18 - 1), NAMES.filter(bool))
def test_a_cell_of_a_table_is_read_as_it_is_written(file, name, row, column):
    place = Place(file, name, row=row, column=column)
    assert inside.place_of(place.spelled()) == place


@given(st.text(max_size=40))
def test_what_names_a_file_names_no_place(path):
    """A path of a file does not end with a slash."""
    assert inside.place_of(path.rstrip("/")) is None
    assert inside.file_of(path.rstrip("/")) == path.rstrip("/")


@pytest.mark.parametrize(
    "path",
    [
        "a.tar#bytes=1+2:x",  # a file may have this name
        "a.tar#bytes=1:x/",
        "a.tar#bytes=-1+2:x/",
        "a.tar#row=0:a:b/",
        "a.tar#row=1:a/",
        "a.tar#row=1::b/",
        "#bytes=1+2:x/",
        "a/#bytes=1+2:x/",
        "a.tar#bytes=1+2:x#/",
        "clips/",
    ],
)
def test_what_is_no_place(path):
    assert inside.place_of(path) is None
