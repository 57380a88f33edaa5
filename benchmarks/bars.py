"""The bars of `python -m benchmarks --check`, which a release must clear."""

import math

from . import catalog
from .tables import geometric_mean, short, size_name


def check(results):
    """Compare with the bars of the first release; return (lines of text, whether all hold)."""
    lines, good = [], True

    def bar(text, value, holds):
        nonlocal good
        good &= bool(holds)
        lines.append(f"{'ok  ' if holds else 'FAIL'}  {text}: {value}")

    def torch(section, size=None):
        return [(case, timings) for case, timings in results
                if case.section == section and "torch" in timings
                and (size is None or case.size == size)]

    for size in (16 << 10, 1 << 20):
        found = torch("elementwise", size)
        name = f"float32, 1 thread, {size_name(size)}"
        ulp, worst = max(((t["cyact"].ulp, c.function) for c, t in found), default=(math.inf, ""))
        bar(f"{name}: error at most 1 ULP", f"{short(ulp)} ({worst})", ulp <= 1)
        mean = geometric_mean([t["torch"].ratio for _, t in found])
        bar(f"{name}: geometric mean of torch/cyact at least 2", f"{mean:.2f}", mean >= 2)
        low, worst = min(((t["torch"].ratio, c.function) for c, t in found), default=(0, ""))
        bar(f"{name}: none below 0.85", f"{low:.2f} ({worst})", low >= 0.85)
    first = {size_name(size): [t["torch"].ratio for c, t in torch("elementwise", size)
                               if c.function in catalog.COMMON] for size in (16 << 10, 1 << 20)}
    mean = geometric_mean([ratio for ratios in first.values() for ratio in ratios])
    each = ", ".join(f"{name} {geometric_mean(ratios):.2f}" for name, ratios in first.items())
    bar(f"the same of the {len(catalog.COMMON)} commonest alone, both sizes at once",
        f"{mean:.2f} ({each})", mean >= 2)
    found = [(c, t) for c, t in torch("rows") if c.function == "softmax"]
    ratio = min((t["torch"].ratio for _, t in found), default=0)
    bar("softmax over rows of 10: torch/cyact at least 6", f"{ratio:.2f}", ratio >= 6)
    found = torch("elementwise", 16 << 20)
    low, worst = min(((t["torch"].ratio, c.function) for c, t in found), default=(0, ""))
    bar("fresh 16M on two threads: torch/cyact above 1 for each", f"{low:.2f} ({worst})", low > 1)
    calls = [(1 / t["np.exp"].ratio, c.function) for c, t in results if c.section == "calls"]
    high, worst = max((call for call in calls if call[1] in catalog.COMMON),
                      default=(math.inf, ""))
    bar("a call on 16 elements: cyact/np.exp at most 0.8", f"{high:.2f} ({worst})", high <= 0.8)
    others = [f"{name} {share:.2f}" for share, name in sorted(calls, reverse=True)
              if share > 0.8 and name not in catalog.COMMON]
    lines.append(f"      of the later functions these are above it: {', '.join(others) or 'none'}")
    return lines, good
