"""Every block of the README runs, with files of the names that it uses."""

from __future__ import annotations

import re

import matplotlib.pyplot as plt
import pytest

from markdown_blocks import ROOT, SHELLS, blocks, run_page, write_inputs


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_has_blocks_of_both_kinds(text):
    assert blocks(text, "python")
    assert blocks(text, *SHELLS)


def test_every_fence_is_closed_and_named(text):
    assert text.count("```") % 2 == 0


def test_the_blocks_run(text, tmp_path, monkeypatch, capfd):
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    write_inputs(text, tmp_path)
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("Agg")
    run_page(text, "README.md", capfd)
    plt.close("all")


def test_the_output_shown_is_what_the_example_prints(text, capsys):
    """Up to the last digits: fonts are drawn a little differently by other versions of matplotlib."""
    (shown,) = blocks(text, "text")
    exec(blocks(text, "python")[0], {})
    printed, number = capsys.readouterr().out, re.compile(r"\d+\.\d+")
    assert number.sub("#", printed).split() == number.sub("#", shown).split()
    wanted = [float(value) for value in number.findall(shown)]
    assert [float(value) for value in number.findall(printed)] == pytest.approx(wanted, rel=0.05)
