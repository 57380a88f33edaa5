/* The floating-point status flags */
#ifndef CYACT_STAGES_H
#define CYACT_STAGES_H

#if defined(__SSE2__) || defined(_M_X64)
  #include <immintrin.h>
  typedef unsigned int cyact_status;
  static inline cyact_status cyact_status_get(void) { return _mm_getcsr(); }
  static inline void cyact_status_set(cyact_status s) { _mm_setcsr(s); }
#else
  #include <fenv.h>
  #include <string.h>
  typedef fexcept_t cyact_status;
  static inline cyact_status cyact_status_get(void) {
      fexcept_t s;
      fegetexceptflag(&s, FE_ALL_EXCEPT);
      return s;
  }
  static inline void cyact_status_set(cyact_status s) { fesetexceptflag(&s, FE_ALL_EXCEPT); }
#endif

#endif
