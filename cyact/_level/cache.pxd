"""How much the last-level cache of a core holds, and how to store past it."""

from libc.string cimport memcpy

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
      static inline long long cyact_listed_cache(unsigned first, unsigned leaf) {
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
      static inline long long cyact_last_cache(void) {
          long long size = cyact_listed_cache(0, 4);
          return size ? size : cyact_listed_cache(0x80000000u, 0x8000001du);
      }
    #else
      static inline long long cyact_last_cache(void) { return 0; }
    #endif
    """
    long long last_cache "cyact_last_cache" ()      # in bytes; 0 if that is not known

cdef extern from *:
    """
    #if defined(__SSE2__) || defined(_M_X64)
      #include <emmintrin.h>
      /* 64 bytes past the caches; to is 64-byte aligned */
      static inline void cyact_stream_line(char *to, const char *from) {
          __m128i a = _mm_loadu_si128((const __m128i *)from);
          __m128i b = _mm_loadu_si128((const __m128i *)from + 1);
          __m128i c = _mm_loadu_si128((const __m128i *)from + 2);
          __m128i d = _mm_loadu_si128((const __m128i *)from + 3);
          _mm_stream_si128((__m128i *)to, a);
          _mm_stream_si128((__m128i *)to + 1, b);
          _mm_stream_si128((__m128i *)to + 2, c);
          _mm_stream_si128((__m128i *)to + 3, d);
      }
      static inline void cyact_stream_end(void) { _mm_sfence(); }
    #else
      #include <string.h>
      static inline void cyact_stream_line(char *to, const char *from) { memcpy(to, from, 64); }
      static inline void cyact_stream_end(void) { }
    #endif
    """
    void stream_line "cyact_stream_line" (char* to, const char* source) noexcept nogil
    void stream_end "cyact_stream_end" () noexcept nogil


cdef inline void stream(const char* source, char* y, Py_ssize_t bytes) noexcept nogil:
    """memcpy past the caches; only the unaligned ends go through them."""
    cdef Py_ssize_t head = (-<Py_ssize_t> y) & 63
    cdef Py_ssize_t done
    if head >= bytes:
        memcpy(y, source, bytes)
        return
    memcpy(y, source, head)
    done = head
    while done + 64 <= bytes:
        stream_line(y + done, source + done)
        done += 64
    memcpy(y + done, source + done, bytes - done)
