"""Which instruction-set levels this CPU and operating system can run.

Built for the architecture's minimum and imported before any level: a module compiled for
AVX-512 may use AVX-512 in its own initialisation.
"""

cdef extern from *:
    """
    #if defined(__x86_64__) || defined(_M_X64)
      #define CYACT_X86 1
      #if defined(_MSC_VER)
        #include <intrin.h>
        static void cyact_cpuid(unsigned leaf, unsigned r[4]) { __cpuidex((int *)r, (int)leaf, 0); }
        static unsigned cyact_xcr0(void) { return (unsigned)_xgetbv(0); }
      #else
        #include <cpuid.h>
        static void cyact_cpuid(unsigned leaf, unsigned r[4]) {
            __cpuid_count(leaf, 0, r[0], r[1], r[2], r[3]);
        }
        static unsigned cyact_xcr0(void) {
            unsigned low, high;
            __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
            return low;
        }
      #endif
    #else
      #define CYACT_X86 0
    #endif

    /* 0: baseline, 3: AVX2 + FMA + F16C, 4: also AVX-512 F/BW/DQ/VL/CD.
       A feature counts only if the operating system saves its registers (XCR0). */
    static int cyact_detect(void) {
    #if CYACT_X86
        unsigned r[4], c1, b7, xcr0;
        cyact_cpuid(0, r);
        if (r[0] < 7) return 0;
        cyact_cpuid(1, r);
        c1 = r[2];
        if (!(c1 >> 27 & 1)) return 0;                                     /* OSXSAVE */
        xcr0 = cyact_xcr0();
        cyact_cpuid(7, r);
        b7 = r[1];
        if ((xcr0 & 0x06) != 0x06) return 0;                               /* XMM, YMM */
        if (!(c1 >> 28 & c1 >> 12 & c1 >> 29 & b7 >> 5 & 1)) return 0;     /* AVX FMA F16C AVX2 */
        if ((xcr0 & 0xe6) != 0xe6) return 3;                               /* opmask, ZMM */
        if (!(b7 >> 16 & b7 >> 17 & b7 >> 28 & b7 >> 30 & b7 >> 31 & 1)) return 3;
        return 4;                                                          /* F DQ CD BW VL */
    #else
        return 0;
    #endif
    }

    #define CYACT_TEXT_(x) #x
    #define CYACT_TEXT(x) CYACT_TEXT_(x)
    #if defined(__clang__)
      #define CYACT_COMPILER __VERSION__
    #elif defined(__GNUC__)
      #define CYACT_COMPILER "GCC " __VERSION__
    #elif defined(_MSC_VER)
      #define CYACT_COMPILER "MSVC " CYACT_TEXT(_MSC_VER)
    #else
      #define CYACT_COMPILER "unknown"
    #endif
    """
    int cyact_detect() noexcept nogil
    const char* CYACT_COMPILER
    const char* CYACT_FLAGS      # both from setup.py: "level: flags; level: flags"


compiler = CYACT_COMPILER.decode()
# The levels that this build contains, with their compiler flags.
flags = dict(level.split(": ") for level in CYACT_FLAGS.decode().split("; "))

cdef dict _NAMES = {0: "baseline", 3: "v3", 4: "v4"}


def supported():
    """The levels of this build that can run here, lowest first."""
    found = cyact_detect()
    return tuple(name for rank, name in _NAMES.items() if rank <= found and name in flags)


def choose(override):
    """The level to import: `override` (CYACT_ISA) if given, else the best supported one."""
    usable = supported()
    best = usable[len(usable) - 1]
    if not override:
        return best
    if override in usable:
        return override
    why = ("this CPU or operating system does not support it" if override in flags
           else "this build of cyact does not contain it" if override in _NAMES.values()
           else "there is no such level")
    raise ImportError(
        f"CYACT_ISA={override!r}: {why}; use one of {', '.join(usable)}, "
        f"or unset it for the best ({best})"
    )
