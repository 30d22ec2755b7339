from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from collections import defaultdict
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.ft2font import FT2Font

from evenmatch.datasets import Glyphs, _fonts, _lookalikes, glyphs
from evenmatch.errors import InputError

SCRIPTS = ["Latin", "Greek", "Cyrillic", "Armenian", "Georgian"]


@pytest.fixture(scope="module")
def everything() -> Glyphs:
    return glyphs("all")


@pytest.fixture(scope="module")
def unseen() -> Glyphs:
    return glyphs("test")


def by_id(data: Glyphs) -> dict[str, np.ndarray]:
    return dict(zip(data.ids.tolist(), data.images, strict=True))


def test_arrays_have_the_documented_types_and_lengths(everything):
    n = len(everything)
    assert everything.images.shape == (n, 32, 32)
    assert everything.images.dtype == np.uint8
    for field in (everything.labels, everything.groups, everything.styles, everything.ids):
        assert field.shape == (n,)
        assert field.dtype.kind == "U"
    assert len(set(everything.ids.tolist())) == n


def test_names_say_character_script_and_style(everything):
    for label, group, style, name in zip(
        everything.labels.tolist(),
        everything.groups.tolist(),
        everything.styles.tolist(),
        everything.ids.tolist(),
        strict=True,
    ):
        character, code = label.split(" ")
        assert code == f"U+{ord(character):04X}"
        assert unicodedata.category(character) in ("Lu", "Ll", "Lt", "Lo")
        assert unicodedata.name(character).startswith(group.upper())
        assert name == f"{code}/{style}/0"


def test_same_seed_gives_the_same_bytes_in_every_split_and_number_of_copies(everything, unseen):
    of_everything, of_unseen = by_id(everything), by_id(unseen)
    of_two = by_id(glyphs("test", copies=2))
    assert len(of_two) == 2 * len(of_unseen)
    for name, image in of_unseen.items():
        np.testing.assert_array_equal(image, of_everything[name])
        np.testing.assert_array_equal(image, of_two[name])


def test_other_seeds_and_copies_distort_otherwise(unseen):
    other = glyphs("test", seed=1, copies=2)
    assert other.ids.tolist()[::2] == unseen.ids.tolist()
    for images in (other.images[::2], other.images[1::2]):
        assert (images != unseen.images).any(axis=(1, 2)).mean() > 0.99
    assert (other.images[::2] != other.images[1::2]).any(axis=(1, 2)).mean() > 0.99


def test_test_split_has_300_unseen_characters_in_four_scripts(unseen):
    assert len(set(unseen.labels.tolist())) >= 300
    assert list(dict.fromkeys(unseen.groups.tolist())) == SCRIPTS[1:]


def test_train_and_test_share_no_class_and_no_script(everything, unseen):
    train = glyphs("train")
    assert not set(train.labels.tolist()) & set(unseen.labels.tolist())
    assert set(train.groups.tolist()) == {"Latin"}
    assert train.ids.tolist() + unseen.ids.tolist() == everything.ids.tolist()
    assert set(everything.dropped) == set(train.dropped) | set(unseen.dropped)
    assert set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz") <= {label[0] for label in train.labels.tolist()}


def test_every_class_has_eight_styles_that_really_draw_it(everything):
    styles = defaultdict(set)
    for label, style in zip(everything.labels.tolist(), everything.styles.tolist(), strict=True):
        styles[style].add(label[0])
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    for style, characters in styles.items():
        font = FT2Font(str(folder / f"{style}.ttf"))
        charmap = font.get_charmap()
        assert all(font.get_glyph_name(charmap[ord(c)]) != ".notdef" for c in characters)
    counts = np.unique(everything.labels, return_counts=True)[1]
    assert counts.min() >= 8


def test_no_two_classes_share_their_rendering(everything):
    """Drawn by matplotlib's own binding, at another size and aligned at the corner of the ink: nothing is shared."""
    characters = defaultdict(list)
    for label, style in zip(everything.labels.tolist(), everything.styles.tolist(), strict=True):
        characters[style].append(label[0])
    for style, drawn in characters.items():
        font = FT2Font(str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{style}.ttf")))
        font.set_size(48, 72)
        pictures = np.zeros((len(drawn), 96, 96))
        for picture, character in zip(pictures, drawn, strict=True):
            font.set_text(character)
            font.draw_glyphs_to_bitmap()
            ink = np.asarray(font.get_image())
            top, left = ink.any(axis=1).argmax(), ink.any(axis=0).argmax()
            ink = ink[top:, left:]
            picture[: ink.shape[0], : ink.shape[1]] = ink
        flat = pictures.reshape(len(drawn), -1)
        energy = (flat**2).sum(axis=1)
        difference = energy[:, None] + energy - 2 * flat @ flat.T
        difference /= np.maximum(energy[:, None], energy)
        np.fill_diagonal(difference, np.inf)
        i, j = np.unravel_index(difference.argmin(), difference.shape)
        assert difference[i, j] > 0.02, f"{drawn[i]} and {drawn[j]} look alike in {style}"


def test_well_known_look_alikes_leave_one_class(everything):
    kept = {label[0] for label in everything.labels.tolist()}
    for group in ("AΑА", "oοо", "BΒВ", "HΗН", "iі", "sѕ", "OΟОՕ"):
        assert kept & set(group) == {group[0]}
    assert {("Α", "A"), ("А", "A"), ("о", "o")} <= set(everything.dropped)
    assert {"C", "c", "S", "s", "Z", "z"} <= kept, "letters that differ in size only are different"
    gone = {dropped for dropped, _ in everything.dropped}
    assert not gone & kept
    assert {instead for _, instead in everything.dropped} <= kept


def test_every_image_has_ink_and_none_is_cut_off(everything):
    ink = everything.images.mean(axis=(1, 2)) / 255
    assert ink.min() > 0.005
    assert ink.max() < 0.4
    inner = np.zeros((32, 32), dtype=bool)
    inner[1:-1, 1:-1] = True
    assert everything.images[:, ~inner].max() <= 8


def test_glyphs_are_centred(everything):
    for axis in (1, 2):
        has_ink = (everything.images > 64).any(axis=axis)
        first, last = has_ink.argmax(axis=1), 31 - has_ink[:, ::-1].argmax(axis=1)
        assert np.abs(first + last - 31).max() <= 4


def test_unseen_characters_are_told_apart_by_a_linear_embedding_of_latin(everything):
    pixels = everything.images.reshape(len(everything), -1) / 255
    latin = everything.groups == "Latin"
    _, axes = np.linalg.eigh(np.cov(pixels[latin], rowvar=False))
    vectors = (pixels[~latin] - pixels[latin].mean(axis=0)) @ axes[:, -64:]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    labels = everything.labels[~latin]
    assert 0.5 < (labels[scores.argmax(axis=1)] == labels).mean() < 0.95


def test_size_changes_the_images_and_not_the_classes(unseen):
    small = glyphs(size=16)
    assert small.images.shape[1:] == (16, 16)
    assert small.ids.tolist() == unseen.ids.tolist()
    averaged = unseen.images.reshape(-1, 16, 2, 16, 2).mean(axis=(2, 4))
    assert np.abs(small.images - averaged).mean() < 8


def test_summary_is_json_safe_and_adds_up(everything, unseen):
    facts = json.loads(json.dumps(everything.summary()))
    assert facts["images"] == len(everything)
    assert facts["classes"] == sum(facts["classes_by_script"].values()) == len(set(everything.labels.tolist()))
    assert list(facts["classes_by_script"]) == SCRIPTS
    assert facts["styles"] == 16
    assert facts["dropped"] == sum(sum(kept.values()) for kept in facts["dropped_by_script"].values())
    assert f"{unseen.summary()['dropped']} look-alikes dropped" in unseen.describe()
    assert "Georgian" in repr(unseen)


def test_progress_ends_at_the_number_of_images(unseen):
    seen = []
    glyphs("test", progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (len(unseen), len(unseen))


def test_bad_arguments_are_refused_by_name():
    with pytest.raises(InputError, match=r"no split 'greek'.*\"test\", \"train\", \"all\""):
        glyphs("greek")
    with pytest.raises(InputError, match=r"size=8 .* at least 16"):
        glyphs(size=8)
    with pytest.raises(InputError, match="copies=0"):
        glyphs(copies=0)
    with pytest.raises(InputError, match=r"seed=0\.5"):
        glyphs(seed=0.5)  # type: ignore[arg-type]


def test_missing_font_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(matplotlib, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(InputError, match="reinstall matplotlib"):
        _fonts.charted("DejaVuSans")


def test_fallback_boxes_and_empty_glyphs_are_not_drawn():
    assert set(_fonts.draw("DejaVuSans", ["a", "中", " "], 32)) == {"a"}


def test_rotation_is_counter_clockwise_and_scale_enlarges():
    bar = _fonts.draw("DejaVuSans", ["l"], 32)["l"]
    upright, turned, large = _fonts.place(bar, 32), _fonts.place(bar, 32, angle=8), _fonts.place(bar, 32, scale=1.1)
    columns = np.arange(32)
    top, bottom = turned[10].astype(float), turned[21].astype(float)
    assert (top @ columns) / top.sum() < (bottom @ columns) / bottom.sum()
    assert large.sum() / upright.sum() == pytest.approx(1.21, rel=0.05)


def test_nearest_rendering_takes_the_style_that_differs_least():
    a, b = np.zeros((2, 2, 2), dtype=np.uint8)
    a[0, 0], b[0, 1] = 255, 255
    half = a.copy()
    half[1, 1] = 255
    difference = _lookalikes.nearest_rendering(
        4, [([0, 1], np.stack([a, b])), ([0, 1, 2], np.stack([a, half, b])), ([3], np.stack([a]))]
    )
    np.testing.assert_array_equal(difference, difference.T)
    assert difference[0, 1] == 0.5
    assert difference[0, 2] == 2
    assert np.isinf(difference[3]).all()
    assert np.isinf(np.diagonal(difference)).all()


def test_of_look_alikes_the_first_stays_and_chains_are_cut_only_where_needed():
    chain = np.full((4, 4), 1.0)
    chain[0, 1] = chain[1, 0] = 0.05
    chain[1, 2] = chain[2, 1] = 0.01
    chain[0, 3] = chain[3, 0] = 0.04
    chain[2, 3] = chain[3, 2] = 0.02
    np.fill_diagonal(chain, np.inf)
    assert _lookalikes.keep_distinct(chain, 0.05) == ([0, 2], {1: 0, 3: 2})


def test_import_leaves_matplotlib_and_pillow_alone():
    code = "import sys, evenmatch.datasets; print(sorted({'matplotlib', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
