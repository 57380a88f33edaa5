"""How much the last-level cache of a core holds."""

cdef extern from *:
    """
    #if defined(__x86_64__) || defined(_M_X64)
      #if defined(_MSC_VER)
        #include <intrin.h>
        #define CYACT_CACHE_LEAF(leaf, i, r) __cpuidex((int *)(r), (int)(leaf), i)
      #else
        #include <cpuid.h>
        #define CYACT_CACHE_LEAF(leaf, i, r) __cpuid_count(leaf, i, (r)[0], (r)[1], (r)[2], (r)[3])
      #endif
      /* The largest cache of a list that the processor describes: Intel's leaf 4, and AMD's,
         which has the same format. */
      static long long cyact_listed_cache(unsigned first, unsigned leaf) {
          unsigned r[4], i;
          long long size, largest = 0;
          CYACT_CACHE_LEAF(first, 0, r);
          if (r[0] < leaf) return 0;
          for (i = 0; i < 16; i++) {
              CYACT_CACHE_LEAF(leaf, i, r);
              if ((r[0] & 31) == 0) break;
              size = (long long)((r[1] >> 22) + 1) * ((r[1] >> 12 & 1023) + 1)
                     * ((r[1] & 4095) + 1) * (r[2] + 1LL);
              if ((r[0] & 31) != 2 && size > largest) largest = size;     /* 2: instructions */
          }
          return largest;
      }
      static long long cyact_last_cache(void) {
          long long size = cyact_listed_cache(0, 4);
          return size ? size : cyact_listed_cache(0x80000000u, 0x8000001du);
      }
    #else
      static long long cyact_last_cache(void) { return 0; }
    #endif
    """
    long long last_cache "cyact_last_cache" ()      # in bytes; 0 if that is not known
