"""Files are whole or absent."""

import os

import pytest

from dxa_causal._core.files import atomic_file, atomic_folder, sha256_file


def test_file_appears_whole(tmp_path):
    path = tmp_path / "a" / "b.csv"
    with atomic_file(path) as temporary:
        temporary.write_text("1,2\n")
        assert not path.exists()
    assert path.read_text() == "1,2\n"
    assert os.listdir(path.parent) == ["b.csv"]


def test_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "b.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["b.csv"]


def test_folder_replaces_the_old_one_whole(tmp_path):
    path = tmp_path / "tables"
    for n in (1, 2):
        with atomic_folder(path) as temporary:
            (temporary / f"{n}.csv").write_text(str(n))
        assert os.listdir(path) == [f"{n}.csv"]
    with pytest.raises(RuntimeError), atomic_folder(path) as temporary:
        (temporary / "3.csv").write_text("3")
        raise RuntimeError
    assert os.listdir(path) == ["2.csv"]
    assert os.listdir(tmp_path) == ["tables"]


def test_hash(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert sha256_file(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
