"""Whatever is wrong with the input: exit code 2, nothing on stdout, one line on stderr that says what to do."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import evenmatch as em
from evenmatch.cli import main

RNG = np.random.default_rng(0)
CODES = np.repeat(np.arange(6), 8)
X = (RNG.normal(size=(6, 5))[CODES] + 0.5 * RNG.normal(size=(48, 5))).astype(np.float32)


class Bomb:
    def __reduce__(self):
        return (Path.write_text, (Path("exploded"), "boom"))


def changed(row: int, value: float) -> np.ndarray:
    x = X.copy()
    x[row] = value
    return x


def npz(x=X, labels=CODES, name="e.npz") -> list[str]:
    np.savez(name, embeddings=x, labels=labels)
    return [name]


def npy(x=X, labels="".join(f"{code}\n" for code in CODES)) -> list[str]:
    np.save("e.npy", x)
    Path("l.txt").write_text(labels)
    return ["e.npy", "--labels", "l.txt"]


def cut(share: float) -> list[str]:
    (name,) = npz()
    raw = Path(name).read_bytes()
    Path(name).write_bytes(raw[: int(share * len(raw))])
    return [name]


def written(name: str, content: bytes) -> list[str]:
    Path(name).write_bytes(content)
    return [name]


def objects() -> list[str]:
    np.savez("e.npz", embeddings=X, labels=np.array([Bomb()] * 48, dtype=object), allow_pickle=True)
    return ["e.npz"]


def object_array() -> list[str]:
    np.save("e.npy", X.astype(object), allow_pickle=True)
    Path("l.txt").write_text("".join(f"{code}\n" for code in CODES))
    return ["e.npy", "--labels", "l.txt"]


def good(*arguments: str) -> list[str]:
    return [*npz(), *arguments]


def under_a_file() -> list[str]:
    Path("file").write_text("")
    return good("--save", "file/run.audit")


BAD = {
    "NaN": (lambda: npz(changed(17, math.nan)), "row 17 of embeddings has a NaN"),
    "inf": (lambda: npz(changed(3, -math.inf)), "row 3 of embeddings has an infinite value"),
    "zero vector": (lambda: npz(changed(5, 0)), "row 5 of embeddings is a zero vector"),
    "length mismatch": (lambda: npz(labels=CODES[1:]), "labels has 47 entries but embeddings has 48 rows"),
    "one class": (lambda: npz(labels=CODES * 0), "no negative pair"),
    "no positive pair": (lambda: npz(labels=np.arange(48)), "no positive pair"),
    "empty": (lambda: npz(X[:0], CODES[:0]), "empty"),
    "1-d": (lambda: npz(X[:, 0]), "shape (48,)"),
    "integers": (lambda: npz(X.astype(int)), "floating point"),
    "too few pairs": (lambda: npz(X[[0, 1, 8, 9]], CODES[[0, 1, 8, 9]]), "calibration range is empty"),
    "no labels in the archive": (lambda: (np.savez("e.npz", embeddings=X), ["e.npz"])[1], "labels"),
    "no embeddings in the archive": (lambda: (np.savez("e.npz", x=X, labels=CODES), ["e.npz"])[1], "embeddings"),
    "object array": (object_array, "e.npy"),
    "pickled labels": (objects, "pickle"),
    "truncated": (lambda: cut(0.5), "e.npz"),
    "nearly whole": (lambda: cut(0.98), "e.npz"),
    "empty file": (lambda: written("e.npz", b""), "e.npz is an empty file"),
    "pickle": (lambda: written("e.npz", pickle.dumps(Bomb())), "is a Python pickle, which is never loaded"),
    "pickled npy": (lambda: [*npy(), *written("e.npy", pickle.dumps(Bomb()))][1:], "is a Python pickle"),
    "noise": (lambda: written("e.parquet", b"\x00" * 99), "e.parquet"),
    "label file with a missing row": (lambda: npy(labels="a\n" * 47), "labels has 47 entries but embeddings has 48"),
    "label file with an empty row": (lambda: npy(labels="a\n" * 20 + "\n" + "b\n" * 27), "row 20 of labels in l.txt"),
    "no label file": (lambda: npy()[:1], "label file"),
    "label file not there": (lambda: good("--labels", "none.csv"), "none.csv does not exist; check the path"),
    "label file of unknown kind": (lambda: good("--labels", *written("l.xlsx", b"PK")), "l.xlsx has no known suffix"),
    "unknown suffix": (lambda: written("e.pkl", b"?"), "e.pkl has no known suffix"),
    "missing file": (lambda: ["none.npz"], "none.npz does not exist; check the path"),
    "folder": (lambda: (Path("d.npz").mkdir(), ["d.npz"])[1], "d.npz is a folder"),
    "gallery not there": (lambda: good("--ref", "none.npz"), "none.npz does not exist"),
    "gallery of another width": (lambda: good("--ref", *npz(X[:, :2], name="r.npz")), "5 columns and ref has 2"),
    "labels of no gallery": (lambda: good("--ref-labels", "l.txt"), "--ref"),
    "save into no folder": (lambda: good("--save", "none/run.audit"), "folder none does not exist"),
    "save under a file": (under_a_file, "file"),
    "save onto a folder": (lambda: good("--save", "."), "folder"),
    "csv into no folder": (lambda: good("--csv", "none/c.csv"), "folder none does not exist"),
    "far, one": (lambda: good("--far", "0.1"), "--far"),
    "far, three": (lambda: good("--far", "0.1,0.2,0.3"), "--far"),
    "far, no number": (lambda: good("--far", "0.1,x"), "--far '0.1,x' is not a list of numbers"),
    "far, no rates": (lambda: good("--far", "1,10"), "far is (1.0, 10.0)"),
    "far, NaN": (lambda: good("--far", "nan,0.1"), "far is"),
    "k, a fraction": (lambda: good("--k", "1.5"), "--k"),
    "k, no number": (lambda: good("--k", "one"), "--k"),
    "k, zero": (lambda: good("--k", "0"), "k is (0,)"),
    "k, nothing": (lambda: good("--k", ""), "k is ()"),
    "k, NaN": (lambda: good("--k", "nan"), "--k"),
    "k, infinite": (lambda: good("--k", "inf"), "--k"),
    "thresholds": (lambda: good("--thresholds", "2"), "outside the scores' range"),
    "thresholds, NaN": (lambda: good("--thresholds", "nan"), "threshold"),
    "metric": (lambda: good("--metric", "dot"), "metric 'dot' is unknown"),
    "beta": (lambda: good("--beta", "0"), "beta is 0"),
    "beta, no number": (lambda: good("--beta", "x"), "--beta"),
    "eps": (lambda: good("--eps", "2"), "eps is 2"),
    "threads": (lambda: good("--threads", "0"), "threads is 0"),
    "limit, unknown": (lambda: good("--fail-above", "recall=1"), "names no quantity; use one of opis, eps_opis"),
    "limit, no number": (lambda: good("--fail-above", "opis"), "--fail-above 'opis' has no number"),
    "limit, NaN": (lambda: good("--fail-above", "opis=nan"), "--fail-above"),
    "no file": (list, "see evenmatch audit --help"),
    "unknown option": (lambda: good("--nonsense"), "--nonsense"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_line(name, tmp_path, monkeypatch, capfd):
    make, said = BAD[name]
    monkeypatch.chdir(tmp_path)
    arguments = make()
    before = sorted(path.name for path in tmp_path.rglob("*"))
    assert main(["audit", *arguments]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert captured.err.endswith("\n")
    assert "Traceback" not in captured.err
    assert said in captured.err
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["NaN", "truncated", "limit, unknown", "k, a fraction"])
def test_json_on_stdout_is_never_half_of_it(name, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["audit", *BAD[name][0](), "--json"]) == 2
    assert capfd.readouterr().out == ""


def test_bad_limits_are_refused_before_the_file_is_read(capfd):
    assert main(["audit", "none.npz", "--fail-above", "recall=1"]) == 2
    assert "names no quantity" in capfd.readouterr().err


def test_a_command_that_is_not_there_is_refused(capfd):
    assert main(["adit"]) == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_no_command_shows_the_help(capfd):
    code = main([])
    captured = capfd.readouterr()
    assert code in (0, 2)
    assert "audit" in captured.out + captured.err
    assert "Traceback" not in captured.err


def test_an_interrupt_leaves_nothing_and_says_so(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    arguments = npz()
    monkeypatch.setattr(em, "audit", interrupted, raising=False)
    assert main(["audit", *arguments, "--save", "run.audit"]) == 130
    assert capfd.readouterr().err == "interrupted\n"
    assert [path.name for path in tmp_path.iterdir()] == ["e.npz"]


def test_an_interrupt_after_a_file_was_written_does_not_deny_it(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    arguments = npz()
    monkeypatch.setattr(em.Audit, "to_html", interrupted)
    assert main(["audit", *arguments, "--save", "run.audit", "--html", "report.html"]) == 130
    assert capfd.readouterr().err == "interrupted\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.npz", "run.audit"]


def test_a_fault_of_our_own_is_no_failed_check():
    code = (
        "import sys, evenmatch.cli as cli, evenmatch.embeddings as e\n"
        "e.load = lambda *a, **k: 1 / 0\n"
        "import evenmatch; evenmatch.load = e.load\n"
        "sys.argv = ['evenmatch', 'audit', 'e.npz']; cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 3
    assert "ZeroDivisionError" in done.stderr
    assert done.stderr.endswith("this is a fault of evenmatch; please report it with the lines above\n")
