"""EmbeddingSet: vectors with their labels, validated once and frozen."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenmatch.embeddings._classes import factorize
from evenmatch.embeddings._labels import as_column
from evenmatch.embeddings._pairable import require_pairs
from evenmatch.embeddings._rows import as_rows
from evenmatch.embeddings._shards import ShardedVectors
from evenmatch.embeddings._vectors import as_vectors, row_blocks, row_norms
from evenmatch.errors import InputError

__all__ = ["EmbeddingSet", "fingerprint_of"]


@dataclass(frozen=True, eq=False, repr=False)
class EmbeddingSet:
    """Embeddings and their labels, validated once; make one with `EmbeddingSet.from_arrays` or `load`.

    vectors: `(n, d)` float16, float32 or float64, as given and not copied; a memory map stays a memory map, and the
        shards of a folder stay files (`ShardedVectors`: index rows, or make it an array with `numpy.asarray`).
    labels: `(n,)` the class of each row, in its native dtype, or objects where types are mixed.
    groups: `(n,)` a second label per row (domain, site, script, demographic), or None.
    ids: `(n,)` a unique name per row, or None.
    name: what to call the set in reports.
    classes: `(K,)` the distinct labels, sorted; mixed types by (type name, repr).
    codes: `(n,)` int64, index of each label in `classes`.
    group_names, group_codes: the same for `groups`, or None.
    norms: `(n,)` float64 Euclidean norms of the rows.

    All arrays but `vectors` are read-only. Rows are counted from 0 in every message.

    Examples:
        >>> import numpy as np
        >>> faces = EmbeddingSet.from_arrays(np.eye(4, dtype="float32"), ["ann", "bob", "ann", "bob"])
        >>> faces.n, faces.dim, faces.classes.tolist(), faces.codes.tolist()
        (4, 4, ['ann', 'bob'], [0, 1, 0, 1])
    """

    vectors: NDArray[Any] | ShardedVectors
    labels: NDArray[Any]
    groups: NDArray[Any] | None
    ids: NDArray[Any] | None
    name: str
    classes: NDArray[Any]
    codes: NDArray[np.int64]
    group_names: NDArray[Any] | None
    group_codes: NDArray[np.int64] | None
    norms: NDArray[np.float64]

    @classmethod
    def from_arrays(
        cls, embeddings: Any, labels: Any, *, groups: Any = None, ids: Any = None, name: str = ""
    ) -> EmbeddingSet:
        """Validate arrays and return them as a set.

        embeddings: `(n, d)` floating point array, memory map or tensor of any framework; not copied.
        labels: `(n,)` hashable scalars; never cast to float. Sequence, array, tensor, pandas Series or Categorical.
        groups: `(n,)` hashable scalars, or None.
        ids: `(n,)` unique hashable scalars, or None.
        name: what to call the set in reports.

        Raises `InputError` for a wrong rank, dtype or length, an empty matrix, NaN or infinite values, and missing,
        unhashable or (ids) repeated entries. Zero rows pass: only some metrics mind them (`require_nonzero`).

        Examples:
            >>> import numpy as np
            >>> EmbeddingSet.from_arrays(np.ones((2, 3)), [7, 2**62], name="parts")
            EmbeddingSet(name='parts', n=2, dim=3, dtype=float64, classes=2)
        """
        vectors = as_vectors(embeddings)
        n = len(vectors)
        label_column = as_column(labels, "labels", n)
        group_column = None if groups is None else as_column(groups, "groups", n)
        id_column = None if ids is None else as_column(ids, "ids", n)
        if id_column is not None:
            _require_unique(id_column)
        classes, codes = factorize(label_column)
        group_names, group_codes = (None, None) if group_column is None else factorize(group_column)
        return cls(
            vectors=vectors,
            labels=label_column,
            groups=group_column,
            ids=id_column,
            name=name,
            classes=_frozen(classes),
            codes=_frozen(codes),
            group_names=None if group_names is None else _frozen(group_names),
            group_codes=None if group_codes is None else _frozen(group_codes),
            norms=_frozen(row_norms(vectors)),
        )

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.vectors.shape[0]

    @property
    def dim(self) -> int:
        """Number of values per embedding."""
        return self.vectors.shape[1]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of what an audit sees: shape, dtype and bytes of the vectors, and the label of each row.

        Equal data has equal fingerprints whatever file it came from and whatever integer width its labels have.
        Groups, ids and name are not part of it. Computed on first use, in blocks, and kept.

        Examples:
            >>> import numpy as np
            >>> a = EmbeddingSet.from_arrays(np.ones((2, 3)), [1, 2])
            >>> a.fingerprint == EmbeddingSet.from_arrays(np.ones((2, 3)), [1, 3]).fingerprint
            False
        """
        digest = hashlib.sha256(f"{self.n} {self.dim} {self.vectors.dtype.name}\n".encode())
        little_endian = self.vectors.dtype.newbyteorder("<")
        for rows in row_blocks(self.vectors):
            digest.update(np.ascontiguousarray(self.vectors[rows], dtype=little_endian).data)
        kind = "i" if self.classes.dtype.kind in "iu" else self.classes.dtype.kind
        for label in self.classes.tolist():
            type_name = kind if kind in "mM" else type(label).__name__
            digest.update(f"{type_name} {label!a}\n".encode())
        digest.update(np.ascontiguousarray(self.codes, dtype="<i8").data)
        return digest.hexdigest()

    def without_groups(self) -> EmbeddingSet:
        """The set itself where no groups are known, else the same rows without them."""
        if self.groups is None:
            return self
        found = replace(self, groups=None, group_names=None, group_codes=None)
        if "fingerprint" in vars(self):  # it does not hold the groups
            vars(found)["fingerprint"] = self.fingerprint
        return found

    def subset(self, rows: Any, name: str | None = None) -> EmbeddingSet:
        """Return the set of the given rows, in the given order.

        rows: boolean mask `(n,)`, integer indices, or a slice (which copies nothing; nor do shards in any case).
        name: name of the new set; by default the old one.

        Raises `InputError` if the rows are none, out of range, of another dtype, or repeat an id.

        Examples:
            >>> import numpy as np
            >>> EmbeddingSet.from_arrays(np.ones((3, 2)), ["a", "b", "a"]).subset([0, 2]).classes.tolist()
            ['a']
        """
        index = as_rows(rows, self.n)
        ids = None if self.ids is None else self.ids[index]
        if ids is not None:
            _require_unique(ids)
        classes, codes = _kept(self.classes, self.codes[index])
        group_names = group_codes = None
        if self.group_names is not None and self.group_codes is not None:
            group_names, group_codes = _kept(self.group_names, self.group_codes[index])
        vectors = self.vectors
        return EmbeddingSet(
            vectors=vectors.select(index) if isinstance(vectors, ShardedVectors) else vectors[index],
            labels=_frozen(self.labels[index]),
            groups=None if self.groups is None else _frozen(self.groups[index]),
            ids=None if ids is None else _frozen(ids),
            name=self.name if name is None else name,
            classes=classes,
            codes=codes,
            group_names=group_names,
            group_codes=group_codes,
            norms=_frozen(self.norms[index]),
        )

    def require_nonzero(self) -> None:
        """Raise `InputError` naming the first row that is all zeros: it has no direction, so no cosine."""
        zero = np.flatnonzero(self.norms == 0)
        if zero.size:
            others = "" if len(zero) == 1 else f" ({len(zero)} such rows in all)"
            raise InputError(
                f"row {zero[0]} of embeddings is a zero vector{others}, which has no cosine; "
                "drop it, or use the euclidean metric"
            )

    def require_pairs(self, ref: EmbeddingSet | None = None) -> None:
        """Raise `InputError` unless there are both positive and negative pairs, within the set or across to `ref`.

        With `ref`, sets of different dimension and sets that share ids are refused too: a sample compared with itself
        is no pair.
        """
        require_pairs(self, ref)

    def __repr__(self) -> str:
        groups = "" if self.group_names is None else f", groups={len(self.group_names)}"
        return (
            f"EmbeddingSet(name={self.name!r}, n={self.n}, dim={self.dim}, dtype={self.vectors.dtype}, "
            f"classes={len(self.classes)}{groups})"
        )


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _kept(names: NDArray[Any], codes: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Drop the names that no code points at; the order of the others stays."""
    present = np.zeros(len(names), dtype=bool)
    present[codes] = True
    return _frozen(names[present]), _frozen((np.cumsum(present, dtype=np.int64) - 1)[codes])


def _require_unique(ids: NDArray[Any]) -> None:
    first: dict[Any, int] = {}
    for row, value in enumerate(ids.tolist()):
        if (earlier := first.setdefault(value, row)) != row:
            raise InputError(f"ids must be unique, but row {row} repeats the id {value!r} of row {earlier}")


def fingerprint_of(queries: EmbeddingSet, references: EmbeddingSet | None = None) -> str:
    """SHA-256 (hex) of the vectors and labels of one set, or of queries and a gallery.

    Raises `InputError` for anything but sets.
    """
    for name, data in (("embeddings", queries), ("ref", references)):
        if data is not None and not isinstance(data, EmbeddingSet):
            raise InputError(
                f"{name} is a {type(data).__name__}; pass the EmbeddingSet that was audited, from em.load or "
                "em.EmbeddingSet.from_arrays"
            )
    if references is None:
        return queries.fingerprint
    return hashlib.sha256((queries.fingerprint + references.fingerprint).encode()).hexdigest()
