"""Relative paths stay in the allowed folders, whatever links and dots they hold."""

import pytest

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.manifests import allowed
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.locate import Manifest


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("inside/a.wav", True),
        ("inside/../inside/a.wav", True),
        ("outside/a.wav", False),
        ("inside/../outside/a.wav", False),
        ("inside/link.wav", False),
        ("inside-neighbour/a.wav", False),
    ],
)
def test_confined_paths_stay_in_the_allowed_folders(tmp_path, path, inside):
    for folder in ("inside", "outside", "inside-neighbour"):
        (tmp_path / folder).mkdir()
    (tmp_path / "inside/link.wav").symlink_to(tmp_path / "outside/a.wav")
    roots = allowed.allowed_roots(
        [Manifest("inside/m.csv", str(tmp_path / "inside/m.csv"), is_folder=False)], ManifestSettings(), str(tmp_path)
    )
    if inside:
        allowed.check_allowed(str(tmp_path / path), roots)
    else:
        with pytest.raises(ClipRejected) as refusal:
            allowed.check_allowed(str(tmp_path / path), roots)
        assert refusal.value.reason == reasons.PATH_NOT_ALLOWED
    more = allowed.allowed_roots(
        [Manifest("inside/m.csv", "", is_folder=False)], ManifestSettings(allow_path=(str(tmp_path),)), str(tmp_path)
    )
    allowed.check_allowed(str(tmp_path / path), more)
