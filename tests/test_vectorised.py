"""Every kernel of every level stays a vector loop without calls.

GCC decides silently: one double literal in a float expression, one helper without
`noexcept`, one libm call, and a kernel runs at a tenth of its speed with the same results.
So the built modules are disassembled; this CPU need not support their level. Kernels are
found by their static symbols: a stripped module cannot be checked.

Where objdump is missing these tests are skipped; the benchmarks' ratios then are the only
thing that would show a kernel gone scalar.
"""

import importlib.util
import platform
import re
import shutil
import subprocess

import pytest

import cyact

pytestmark = [
    pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"},
                       reason="reads x86-64 disassembly"),
    pytest.mark.skipif(not cyact.show_config("dict")["compiler"].startswith("GCC"),
                       reason="the kernels are written for GCC's vectoriser"),
    pytest.mark.skipif(shutil.which("objdump") is None,
                       reason="objdump (binutils) is not installed"),
]

WIDEST = {"baseline": "%xmm", "v3": "%ymm", "v4": "%zmm"}
FAMILIES = "algebraic|exponential|logarithms|normal|rectifiers|self_gated|sigmoids"
SYMBOL = re.compile(rf"__pyx_fuse_([01])__pyx_f_\w*?_11elementwise_\d+(?:{FAMILIES})_(\w+)")
LOSS = re.compile(
    r"(?:__pyx_fuse_[01])?__pyx_f_\w*?losses_\d+(?:pointwise|by_row)_(\w+)")
LOSS_KERNELS = {"binary", "logits", "divergence", "log_divergence"}
PACKED = re.compile(r"(?!v?mov)[a-z0-9]+p[sd]$")
SCALAR = re.compile(r"v?(add|sub|mul|div|sqrt|fn?m(add|sub)\d+)s[sd]$")
# A copy is best left to the C library.
COPIES = {"identity"}


def functions(path):
    """{symbol: [(address, mnemonic, operands), …]} of a shared object."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path],
                          capture_output=True, text=True, check=True).stdout
    found, body = {}, []
    for line in text.splitlines():
        if head := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            body = found.setdefault(head[1], [])
        elif instruction := re.match(r"\s*([0-9a-f]+):\s+(\S+)\s*(.*)", line):
            body.append((int(instruction[1], 16), instruction[2], instruction[3]))
    return found


def loops(body):
    """The innermost loops of a function: what lies between a backward jump and its target."""
    start = body[0][0]
    spans = set()
    for address, mnemonic, operands in body:
        target = re.match(r"([0-9a-f]+) <", operands) if mnemonic.startswith("j") else None
        if target and start <= int(target[1], 16) <= address:
            spans.add((int(target[1], 16), address))
    merged = []
    for low, high in sorted(spans):
        # Two backward jumps that cross belong to one loop, entered in its middle.
        if merged and merged[-1][0] <= low <= merged[-1][1] < high:
            low = merged.pop()[0]
        merged.append((low, high))
    inner = [s for s in merged
             if not any(s != t and s[0] <= t[0] and t[1] <= s[1] for t in merged)]
    return [[i for i in body if low <= i[0] <= high] for low, high in inner]


def problems(name, body, widest):
    """What keeps a kernel from being a vector kernel, as a list of sentences."""
    calls = [operands for _, mnemonic, operands in body
             if mnemonic.startswith("call") or (mnemonic == "jmp" and "@plt" in operands)]
    if name in COPIES:
        moves = any(re.search("mem(cpy|move)", c) for c in calls) or any(
            widest in operands for _, _, operands in body)
        return [] if moves else ["copies without vector moves"]
    found = [f"calls {c}" for c in calls]
    if not any(widest in operands for _, _, operands in body):
        found.append("has no vectors")
    for loop in loops(body):
        scalar = sum(bool(SCALAR.match(mnemonic)) for _, mnemonic, _ in loop)
        packed = sum(bool(PACKED.match(mnemonic)) and widest in operands
                     for _, mnemonic, operands in loop)
        # The loop over blocks may compute a bound: what prevails decides.
        if scalar > packed:
            found.append(f"has a loop with {scalar} scalar and {packed} vector operations")
    return found


def symbols_of(module, level):
    spec = importlib.util.find_spec(f"cyact._level.{module}_{level}")
    if spec is None:
        pytest.skip(f"level {level} is not built")
    return functions(spec.origin)


@pytest.mark.parametrize("name", WIDEST)
def test_kernels_are_vector_loops_without_calls(name):
    symbols = symbols_of("elementwise", name)
    kernels = {f"{match[2]}[{('float', 'double')[int(match[1])]}]": (match[2], body)
               for symbol, body in symbols.items()
               if (match := SYMBOL.fullmatch(symbol.partition(".")[0])) and body}
    assert len(kernels) >= 210, "the kernels' symbols are gone: is the module stripped?"
    bad = [f"{title}: {', '.join(found)}" for title, (kernel, body) in kernels.items()
           if (found := problems(kernel, body, WIDEST[name]))]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("name", WIDEST)
def test_losses_are_vector_loops_without_calls(name):
    found = {}
    for symbol, body in symbols_of("losses", name).items():
        match = LOSS.fullmatch(symbol.partition(".")[0])
        if match and body and match[1] in {*LOSS_KERNELS, "focal"}:
            found[symbol] = problems(match[1], body, WIDEST[name])
    # Each for two dtypes; and focal loss
    assert len(found) == 2 * len(LOSS_KERNELS) + 1, "the kernels' symbols are gone"
    bad = [f"{title}: {', '.join(what)}" for title, what in found.items() if what]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("name", WIDEST)
@pytest.mark.parametrize("module", ["elementwise", "rows", "sparse", "losses"])
def test_the_maths_library_is_never_called(module, name):
    """Along an axis some loops have a scalar twin, but nothing runs at a libm function's speed."""
    called = {found[1] for body in symbols_of(module, name).values()
              for _, _, operands in body if (found := re.search(r"<(\w+)@plt>", operands))}
    assert called, "the names of called functions are gone"
    others = {c for c in called if not c.startswith(("Py", "_Py", "__cxa"))}
    assert others <= {"memcpy", "memmove", "memset"}
