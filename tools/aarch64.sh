#!/usr/bin/env bash
# Whether aarch64 gives the bits of this machine, emulated: bash tools/aarch64.sh FOLDER [LEVEL]
#
# On Debian or Ubuntu, once, as root:
#     dpkg --add-architecture arm64 && apt-get update
#     apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
# Needs cyact installed with its extras test and bench, ml_dtypes and setuptools. FOLDER is filled
# with an aarch64 Python (Debian's, of the version that runs here), NumPy and cyact; it may be
# used again. Compares with LEVEL (default v3) by tests/bits.py; takes about ten minutes.
set -euo pipefail
folder=$(realpath -m "${1:?a folder}")
level=${2:-v3}
cd "$(dirname "$0")/.."
python=python$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
tag=cpython-${python#python}
tag=${tag/./}-aarch64-linux-gnu
root=$folder/root site=$folder/site
mkdir -p "$root" "$site/cyact" "$folder/packages"

if [ ! -x "$root/usr/bin/$python" ]; then
    (cd "$folder/packages"
     apt-get download libc6:arm64 libgcc-s1:arm64 libgomp1:arm64 libstdc++6:arm64 zlib1g:arm64 \
         libexpat1:arm64 libffi8:arm64 libssl3:arm64 libbz2-1.0:arm64 liblzma5:arm64 \
         "$python-minimal:arm64" "lib$python-minimal:arm64" "lib$python-stdlib:arm64" \
         "lib$python-dev:arm64"
     for package in *.deb; do dpkg -x "$package" "$root"; done)
    python -m pip download --quiet --no-deps --only-binary=:all: --dest "$folder/packages" \
        --python-version "${python#python}" --platform manylinux_2_28_aarch64 \
        --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
        "numpy==$(python -c 'import numpy; print(numpy.__version__)')" ml_dtypes
    for wheel in "$folder"/packages/*.whl; do python -m zipfile -e "$wheel" "$site"; done
    cp -r "$(python -c 'import mpmath; print(*mpmath.__path__)')" "$site"
fi

CC=aarch64-linux-gnu-gcc LDSHARED="aarch64-linux-gnu-gcc -shared" \
SETUPTOOLS_EXT_SUFFIX=.$tag.so python - "$folder" <<'END'
import platform
import runpy
import sys

platform.machine = lambda: "aarch64"
sys.argv = ["setup.py", "--quiet", "build_ext", "--build-lib", f"{sys.argv[1]}/site",
            "--build-temp", f"{sys.argv[1]}/objects"]
runpy.run_path("setup.py", run_name="__main__")
END
cp cyact/*.py "$site/cyact"

CYACT_ISA=$level python -W ignore tests/bits.py write "$folder/bits.npz"
PYTHONPATH=$site qemu-aarch64 -L "$root" "$root/usr/bin/$python" -W ignore \
    tests/bits.py compare "$folder/bits.npz"
