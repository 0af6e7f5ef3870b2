"""The cache of letterboxed images: the same pixels as from the files, made once, and never half."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from optdet.data.image_cache import CachedReader, FileReader, open_canvases
from optdet.data.images import image_size, read_image
from optdet.errors import OptdetError
from optdet.geometry.letterbox import Letterbox
from optdet.structures import Sample

SmallDisk = Callable[[int], AbstractContextManager[None]]

SIZE = 64
SIDES = ((90, 60), (40, 100), (64, 64))


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    rng = np.random.default_rng(0)
    made = []
    for number, (width, height) in enumerate(SIDES):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        made.append(Sample(path.name, path, ()))
    return made


def boxes(samples: list[Sample], *, size: int = SIZE, pad: str = "center") -> list[Letterbox]:
    fit = "center" if pad == "center" else "topleft"
    return [Letterbox(*image_size(sample.image_path), size=size, pad=fit) for sample in samples]


def cached(samples: list[Sample], folder: Path, **place: object) -> CachedReader:
    reader = open_canvases(samples, boxes(samples, **place), folder, max_gb=1)  # type: ignore[arg-type]
    assert isinstance(reader, CachedReader)
    return reader


def files(folder: Path) -> set[str]:
    """Everything but the locks, which stay."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


@pytest.mark.parametrize("pad", ["center", "topleft"])
def test_canvases_are_those_of_the_files(samples: list[Sample], tmp_path: Path, pad: str) -> None:
    reader = cached(samples, tmp_path / "cache", pad=pad)
    for index, (sample, letterbox) in enumerate(zip(samples, boxes(samples, pad=pad), strict=True)):
        np.testing.assert_array_equal(reader[index], letterbox.draw(read_image(sample.image_path)))
        assert (reader[index].dtype, reader[index].shape) == (np.uint8, (SIZE, SIZE, 3))


def test_above_the_limit_images_are_read_from_their_files(samples: list[Sample], tmp_path: Path) -> None:
    n_bytes = len(samples) * SIZE * SIZE * 3
    direct = open_canvases(samples, boxes(samples), tmp_path / "cache", max_gb=(n_bytes - 1) / 1e9)
    assert isinstance(direct, FileReader)
    assert not (tmp_path / "cache").exists()
    fits = open_canvases(samples, boxes(samples), tmp_path / "cache", max_gb=n_bytes / 1e9)
    assert isinstance(fits, CachedReader)
    for index in range(len(samples)):
        np.testing.assert_array_equal(direct[index], fits[index])


def test_a_second_open_writes_nothing(samples: list[Sample], tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    for _ in range(2):
        reader = open_canvases(
            samples,
            boxes(samples),
            tmp_path / "cache",
            max_gb=1,
            on_image=lambda done, total: told.append((done, total)),
        )
        assert isinstance(reader, CachedReader)
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert files(tmp_path / "cache") == {reader.path.name}


def test_an_image_that_changed_is_read_again(samples: list[Sample], tmp_path: Path) -> None:
    """Of the same name, size and time: its content counts."""
    before = cached(samples, tmp_path / "cache")
    path, status = samples[0].image_path, samples[0].image_path.stat()
    Image.new("RGB", SIDES[0], "red").save(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = cached(samples, tmp_path / "cache")
    assert after[0][SIZE // 2, SIZE // 2].tolist() == [255, 0, 0]
    np.testing.assert_array_equal(after[1], before[1])
    assert before[0][SIZE // 2, SIZE // 2].tolist() != [255, 0, 0]


def test_another_image_size_or_padding_is_another_file(samples: list[Sample], tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    first = cached(samples, folder)
    before = first[0]
    paths = {first.path, cached(samples, folder, size=96).path, cached(samples, folder, pad="topleft").path}
    Image.new("RGB", SIDES[0], "red").save(samples[0].image_path)
    changed = cached(samples, folder)
    assert len({*paths, changed.path}) == 4
    assert (changed[0] != before).any()
    np.testing.assert_array_equal(changed[1], first[1])
    np.testing.assert_array_equal(CachedReader(first.path)[0], before)


def test_a_canvas_is_the_readers_own(samples: list[Sample], tmp_path: Path) -> None:
    reader = cached(samples, tmp_path / "cache")
    before = reader[0]
    changed = reader[0]
    changed[:] = 7
    np.testing.assert_array_equal(reader[0], before)


def test_a_reader_travels_without_its_pixels(samples: list[Sample], tmp_path: Path) -> None:
    reader = cached(samples, tmp_path / "cache")
    before = reader[2]
    packed = pickle.dumps(reader)
    assert len(packed) < 500
    np.testing.assert_array_equal(pickle.loads(packed)[2], before)


def test_what_a_killed_writer_left_is_harmless_and_cleared(samples: list[Sample], tmp_path: Path) -> None:
    expected = cached(samples, tmp_path / "elsewhere")
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / f".{expected.path.name}.123.tmp").write_bytes(b"half a file")
    (folder / ".images-other.npy.123.tmp").write_bytes(b"somebody's who is still writing")
    reader = cached(samples, folder)
    np.testing.assert_array_equal(reader[1], expected[1])
    assert files(folder) == {reader.path.name, ".images-other.npy.123.tmp"}


def test_an_image_that_cannot_be_read_leaves_no_file(samples: list[Sample], tmp_path: Path) -> None:
    whole = samples[1].image_path.read_bytes()
    samples[1].image_path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OptdetError, match=r"1\.png: the image cannot be read"):
        cached(samples, tmp_path / "cache")
    assert files(tmp_path / "cache") == set()


def test_a_full_disk_is_one_line(samples: list[Sample], tmp_path: Path, small_disk: SmallDisk) -> None:
    message = r"cache cannot be written \(File too large\).*cache\.max_gb=0"
    with small_disk(20_000), pytest.raises(OptdetError, match=message):
        cached(samples, tmp_path / "cache")
    assert files(tmp_path / "cache") == set()


def test_threads_that_open_at_once_write_once(samples: list[Sample], tmp_path: Path) -> None:
    told: list[int] = []
    start = threading.Barrier(4)

    def open_one() -> None:
        start.wait()
        open_canvases(
            samples,
            boxes(samples),
            tmp_path / "cache",
            max_gb=1,
            on_image=lambda done, total: told.append(done),
        )

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [1, 2, 3]


_OPEN = """
import hashlib, sys, time
from pathlib import Path
from optdet.data.image_cache import open_canvases
from optdet.data.images import image_size
from optdet.geometry.letterbox import Letterbox
from optdet.structures import Sample

root = Path(sys.argv[1])
samples = [Sample(path.name, path, ()) for path in sorted(root.glob("*.png"))]
letterboxes = [Letterbox(*image_size(sample.image_path), size=64) for sample in samples]
print("ready", flush=True)
sys.stdin.read()
told = []
reader = open_canvases(
    samples, letterboxes, root / "cache", max_gb=1, on_image=lambda done, total: told.append(done)
)
print(len(told), hashlib.sha256(reader[0].tobytes()).hexdigest())
"""


def test_processes_that_open_at_once_write_once(samples: list[Sample], tmp_path: Path) -> None:
    command = [sys.executable, "-c", _OPEN, str(tmp_path)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    answers = []
    for process in processes:
        with process:
            assert process.stdout is not None
            answers.append(process.stdout.read().split())
    pixels = hashlib.sha256(cached(samples, tmp_path / "cache")[0].tobytes()).hexdigest()
    assert sorted(answers) == [["0", pixels], ["0", pixels], ["3", pixels]]
    assert len(files(tmp_path / "cache")) == 1


def test_the_key_of_averaged_images_is_what_it_was_and_another_filter_has_another(
    samples: list[Sample], tmp_path: Path
) -> None:
    digest = hashlib.sha256(f"1 {SIZE} center".encode())
    for sample in samples:
        digest.update(hashlib.sha256(sample.image_path.read_bytes()).hexdigest().encode())
    cached(samples, tmp_path / "cache")
    assert files(tmp_path / "cache") == {f"images-{digest.hexdigest()[:20]}.npy"}
    bilinear = [replace(box, interpolation="bilinear") for box in boxes(samples)]
    reader = open_canvases(samples, bilinear, tmp_path / "cache", max_gb=1)
    assert len(files(tmp_path / "cache")) == 2
    for index, sample in enumerate(samples):
        np.testing.assert_array_equal(reader[index], bilinear[index].draw(read_image(sample.image_path)))
