"""Worst pairs as images: embedded, small, of the right samples, and never from outside the folder."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from browsing import clusters
from PIL import Image

import evenmatch as em
from evenmatch.errors import InputError
from evenmatch.report import thumbnail


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> tuple[Path, em.EmbeddingSet]:
    """A folder of one image a sample, each of its own colour, and their embeddings."""
    root = tmp_path_factory.mktemp("photos")
    x, codes = clusters(20, 8)
    ids = []
    for row, code in enumerate(codes):
        ids.append(f"class {code}/{row}.png")
        (root / f"class {code}").mkdir(exist_ok=True)
        Image.new("RGB", (400, 300), (row, 255 - row, 128)).save(root / ids[-1])
    return root, em.EmbeddingSet.from_arrays(x, [f"class {code}" for code in codes], ids=ids)


def gallery(path: Path) -> dict:
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])["gallery"]


def test_the_report_holds_the_worst_pairs_of_the_worst_classes(photos, tmp_path):
    root, data = photos
    audit = em.audit(data)
    audit.to_html(tmp_path / "report.html", root, embeddings=data)
    found = gallery(tmp_path / "report.html")
    names = audit.counts.classes.tolist()
    assert [names[each["class"]] for each in found["classes"]] == audit.worst_classes(12).index.tolist()
    for each in found["classes"]:
        assert len(each["impostor"]) == 6
        for pair in each["impostor"]:
            one, other = pair["samples"]
            assert one["class"] == each["class"] != other["class"]
            rows = [int(Path(sample["id"]).stem) for sample in (one, other)]
            a, b = data.vectors[rows].astype(float)
            assert pair["score"] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)
            image = Image.open(io.BytesIO(base64.b64decode(found["images"][one["image"]].partition(",")[2])))
            assert max(image.size) == 112
            assert np.abs(np.array(image)[50, 50].astype(int) - (rows[0], 255 - rows[0], 128)).max() < 8
        for pair in each["genuine"]:
            assert {sample["class"] for sample in pair["samples"]} == {each["class"]}
    assert len(json.dumps(found)) < 1.5e6


def test_the_command_line_takes_the_folder(photos, tmp_path, capsys):
    from evenmatch.cli import main

    root, data = photos
    em.save(tmp_path / "photos.npz", data)
    report = tmp_path / "report.html"
    assert main(["audit", str(tmp_path / "photos.npz"), "--html", str(report), "--images", str(root)]) == 0
    assert capsys.readouterr().out.endswith(f"wrote {report}\n")
    assert len(gallery(report)["classes"]) == 12
    assert main(["audit", str(tmp_path / "photos.npz"), "--images", str(root)]) == 2
    assert "--html" in capsys.readouterr().err


def test_what_cannot_be_shown_is_refused_with_the_reason(photos, tmp_path):
    root, data = photos
    audit = em.audit(data)
    page = tmp_path / "report.html"
    with pytest.raises(InputError, match="pass embeddings="):
        audit.to_html(page, root)
    with pytest.raises(InputError, match="not a folder"):
        audit.to_html(page, tmp_path / "none", embeddings=data)
    with pytest.raises(InputError, match="not those of the audit"):
        audit.to_html(page, root, embeddings=data.subset(slice(0, 80)))
    with pytest.raises(InputError, match="no sample id is the path"):
        audit.to_html(page, tmp_path, embeddings=data)
    bare = em.EmbeddingSet.from_arrays(data.vectors, data.labels)
    with pytest.raises(InputError, match="no ids"):
        audit.to_html(page, root, embeddings=bare)
    assert not page.exists()


def test_an_image_is_turned_flattened_and_bare(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera with a serial number"
    Image.new("RGB", (300, 100), "red").save(tmp_path / "a.jpg", exif=exif)
    Image.new("RGBA", (50, 50), (0, 0, 0, 0)).save(tmp_path / "b.png")
    turned = Image.open(io.BytesIO(base64.b64decode(thumbnail(tmp_path, "a.jpg").partition(",")[2])))
    assert turned.size[0] < turned.size[1] == 112
    assert not turned.getexif()
    clear = Image.open(io.BytesIO(base64.b64decode(thumbnail(tmp_path, "b.png").partition(",")[2])))
    assert np.array(clear).min() > 250


def test_nothing_outside_the_folder_is_opened(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "secret.png")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    for name in ("../secret.png", str(tmp_path / "secret.png"), "link.png", ""):
        assert thumbnail(root, name) is None


def test_what_is_no_image_has_no_thumbnail(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "loop.png").symlink_to("loop.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "odd.dds")
    damaged = bytearray((tmp_path / "odd.dds").read_bytes())
    damaged[80:84] = b"\x00\x00\x00\x00"  # a pixel format that Pillow answers with NotImplementedError
    (tmp_path / "odd.dds").write_bytes(damaged)
    for name in ("broken.png", "text.png", "loop.png", "odd.dds", "a\x00b", "n" * 300, "none.png"):
        assert thumbnail(tmp_path, name) is None
