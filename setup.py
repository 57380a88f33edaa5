"""Build cyact's extension modules; everything declarative is in pyproject.toml.

What lies in cyact/_level is translated to C once and compiled for each instruction-set level, into
separate modules: cyact._level.rows_baseline, cyact._level.rows_v3, … `cyact._engine.cpu` picks a
level at import.
They stay C (not C++), without link-time optimisation and without shared objects, so that no
function compiled for a newer CPU can replace its namesake in the baseline.
"""

import os
import platform
import sys
import tempfile
import threading
from pathlib import Path
from typing import ClassVar

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

X86_64 = platform.machine().lower() in {"x86_64", "amd64"} and sys.maxsize > 2**32
LEVELS = ["baseline", "v3", "v4"] if X86_64 else ["baseline"]
# Modules by their source. What takes longest to compile comes first: the last to be done then
# is short.
PER_LEVEL = {"rows": "rows/table.pyx", "elementwise": "elementwise/table.pyx",
             "sparse": "rows/sparse.pyx", "losses": "losses/table.pyx"}
SHARED = ["rows", "cross_entropy", "losses", "layout", "elementwise", "run", "ufuncs", "halves",
          "arrays", "domains", "threads", "cpu"]
# Python as it stands, compiled: a call of few elements saves an eighth of its time.
PYTHON = ["elementwise"]

# No -ffast-math, not even in part: it reassociates the rounding tricks away, drops NaN
# handling and switches subnormals off for the whole process at link time. Contraction is
# off so that a fused multiply-add happens exactly where the source says fma.
UNIX = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-fno-lto",
        "-g0"]
UNIX_LEVEL = {
    "baseline": [],
    "v3": ["-mavx2", "-mfma", "-mf16c"],
    "v4": ["-mavx2", "-mfma", "-mf16c", "-mavx512f", "-mavx512bw", "-mavx512dq",
           "-mavx512vl", "-mavx512cd", "-mprefer-vector-width=512"],
}
MSVC = ["/O2", "/fp:precise"]
MSVC_LEVEL = {"baseline": [], "v3": ["/arch:AVX2"], "v4": ["/arch:AVX512"]}

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "freethreading_compatible": True,
}
PYTHON_DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,
    "freethreading_compatible": True,
}


def flags(msvc, level):
    """The compiler flags of a level."""
    return MSVC + MSVC_LEVEL[level] if msvc else UNIX + UNIX_LEVEL[level]


OPENMP_TEST = """
#include <omp.h>
int main(void) { return omp_get_max_threads() < 1; }
"""


def placeholders():
    """Name every module, so that metadata and sdists need neither Cython nor NumPy."""
    sources = {f"_level.{name}_{level}": f"_level/{source}"
               for name, source in PER_LEVEL.items() for level in LEVELS}
    sources |= {f"_engine.{name}": f"_engine/{name}.pyx" for name in SHARED}
    sources |= {name: f"{name}.py" for name in PYTHON}
    return [Extension(f"cyact.{name}", [f"cyact/{source}"]) for name, source in sources.items()]


class BuildExt(build_ext):
    """Choose flags for each level, find OpenMP, translate and compile in parallel."""

    translating = threading.Lock()
    translated: ClassVar = {}     # C by source

    def finalize_options(self):  # noqa: D102
        super().finalize_options()
        if self.parallel is None:
            self.parallel = os.cpu_count()

    def build_extensions(self):  # noqa: D102
        import numpy

        msvc = self.compiler.compiler_type == "msvc"
        openmp = self.openmp_flags(msvc)
        if openmp is None:
            print("cyact: this compiler cannot build OpenMP programs; "
                  "building WITHOUT threads. Results are the same, large arrays are slower.",
                  file=sys.stderr)
        for extension in self.extensions:
            level = level_of(extension)
            extension.depends = ["setup.py", *map(str, Path("cyact/_level").rglob("*.h"))]
            extension.include_dirs = [numpy.get_include(), "cyact/_level"]
            # NDEBUG: Cython's assertions are calls, which Python's own flags leave out, but
            # not those of a CFLAGS in the environment
            extension.define_macros = [("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
                                       ("NDEBUG", "1")]
            extension.extra_compile_args = flags(msvc, level or "baseline")
            if level:
                # GCC's unit-growth limit would otherwise stop inlining, and so vectorising,
                # as kernels are added.
                inline = "__forceinline" if msvc else "inline __attribute__((always_inline))"
                extension.define_macros.append(("CYTHON_INLINE", inline))
                # The C is the same for all levels; what Python looks for has the module's name.
                stem = Path(extension.sources[0]).stem
                module = extension.name.rpartition(".")[2]
                extension.define_macros.append((f"PyInit_{stem}", f"PyInit_{module}"))
                if not msvc:
                    # Debian and Ubuntu guard the stack of functions with arrays: a check at the
                    # end of each kernel that works in blocks, whose lengths are constants.
                    extension.extra_compile_args.append("-fno-stack-protector")
            elif openmp is not None:
                extension.extra_compile_args += openmp[0]
                extension.extra_link_args += openmp[1]
            if extension.name == "cyact._engine.cpu":      # what show_config() tells
                told = "; ".join(f"{name}: {' '.join(flags(msvc, name))}" for name in LEVELS)
                extension.define_macros.append(("CYACT_FLAGS", f'"{told}"'))
        super().build_extensions()

    def build_extension(self, ext):  # noqa: D102
        [source] = ext.sources
        with self.translating:      # Cython translates one at a time, while others are compiled
            if source not in self.translated:
                self.translated[source] = translate(source)
        # A copy for each level: beside it lies what it is compiled to
        copy = Path("build", "c", level_of(ext) or "shared", source).with_suffix(".c")
        write_if_new(copy, self.translated[source])
        ext.sources = [str(copy)]
        super().build_extension(ext)

    def openmp_flags(self, msvc):
        """Flags with which a small OpenMP program compiles and links, or None."""
        candidates = [(["/openmp"], [])] if msvc else [
            (["-fopenmp"], ["-fopenmp"]),
            (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),  # Apple clang with libomp installed
        ]
        for compile_args, link_args in candidates:
            with tempfile.TemporaryDirectory() as folder:
                source = Path(folder, "openmp.c")
                source.write_text(OPENMP_TEST)
                try:
                    objects = self.compiler.compile([str(source)], output_dir=folder,
                                                    extra_postargs=compile_args)
                    self.compiler.link_executable(objects, "openmp", output_dir=folder,
                                                  extra_postargs=link_args)
                except Exception:  # distutils raises whatever the compiler class likes
                    continue
            return compile_args, link_args
        return None


def level_of(extension):
    """The level that a module is compiled for, or None."""
    package, _, name = extension.name.rpartition(".")
    return name.rpartition("_")[2] if package == "cyact._level" else None


def translate(source):
    """Turn the .pyx into C, and return that."""
    from Cython.Build import cythonize

    source = Path(source)
    name = ".".join(source.with_suffix("").parts)
    cythonize([Extension(name, [str(source)])], build_dir="build/cython", quiet=True,
              compiler_directives=PYTHON_DIRECTIVES if source.suffix == ".py" else DIRECTIVES)
    return Path("build", "cython", source.with_suffix(".c")).read_bytes()


def write_if_new(path, content):
    """Write a file, unless it has this content: then it keeps its age, and is not compiled again.

    Every `pip install` brings a Cython of its own, newer than what was translated before, and
    translates again.
    """
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


setup(ext_modules=placeholders(), cmdclass={"build_ext": BuildExt})
