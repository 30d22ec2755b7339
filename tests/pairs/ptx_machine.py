"""A machine for the few PTX instructions that the CUDA engine writes itself: one thread after another, no GPU."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass
class Memory:
    """Cells by byte address, in the shared and in the global space."""

    shared: dict[int, int] = field(default_factory=dict)
    everywhere: dict[int, int] = field(default_factory=dict)


def run(code: str, operands: list[int], memory: Memory) -> int:
    """Run a piece of inline assembly for one thread.

    Args:
        code: the PTX, with ``$0`` for its result and ``$1`` … for what goes in.
        operands: the values of ``$1`` …, as the bits of 32- or 64-bit integers.
        memory: is read and changed.

    Returns:
        The value of ``$0``, as a signed 32-bit integer.
    """
    registers: dict[str, int] = {f"${i}": value for i, value in enumerate(operands, 1)}
    lines = [line.strip() for line in re.split(r"[;\n]", code.replace("{", "").replace("}", "")) if line.strip()]
    labels = {line[:-1]: at for at, line in enumerate(lines) if line.endswith(":")}
    at = 0
    while at < len(lines):
        line, at = lines[at], at + 1
        if line.endswith(":") or line.startswith(".reg"):
            continue
        if line.startswith("@"):
            guard, line = line.split(maxsplit=1)
            if bool(registers[guard.strip("@!")]) == guard.startswith("@!"):
                continue
        name, _, rest = line.partition(" ")
        arguments = [argument.strip(" []") for argument in rest.split(",")]
        if name == "bra":
            at = labels[arguments[0]]
            continue
        _step(name, arguments, registers, memory)
    return _signed(registers["$0"], 32)


def _step(name: str, arguments: list[str], registers: dict[str, int], memory: Memory) -> None:
    operation, *suffixes = name.split(".")
    target, *sources = arguments
    values = [registers[each] if each in registers else int(each) for each in sources]
    kind = suffixes[-1]
    bits = int(kind[1:])

    def read(value: int, width: int = bits) -> int:
        return _signed(value, width) if kind[0] == "s" else value % 2**width

    if operation in ("red", "st", "ld"):
        cells = memory.shared if "shared" in suffixes else memory.everywhere
        if operation == "ld":
            registers[target] = cells[values[0]]
            return
        address = registers[target] % 2 ** (32 if "shared" in suffixes else 64)
        assert address % (bits // 8) == 0, f"{name} is not aligned at {address}"
        cells[address] = values[0] if operation == "st" else (cells.get(address, 0) + values[0]) % 2**bits
    elif operation == "setp":
        left, right = map(read, values)
        registers[target] = int({"lt": left < right, "ge": left >= right}[suffixes[0]])
    elif operation == "mad" and suffixes[0] == "wide":
        registers[target] = (read(values[0]) * read(values[1]) + values[2]) % 2 ** (2 * bits)
    else:
        result = {
            "mov": lambda a: a,
            "add": lambda a, b: a + b,
            "sub": lambda a, b: a - b,
            "min": lambda a, b: min(a, b),
            "mad": lambda a, b, c: a * b + c,
        }[operation](*map(read, values))
        registers[target] = result % 2**bits


def _signed(value: int, bits: int) -> int:
    value %= 2**bits
    return value - 2**bits if value >= 2 ** (bits - 1) else value
