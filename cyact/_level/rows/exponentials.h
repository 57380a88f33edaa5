/* What the exponentials of rows look up; made by tools/constants_rows.py. */
#ifndef CYACT_ROWS_EXPONENTIALS_H
#define CYACT_ROWS_EXPONENTIALS_H

#include <stdint.h>

/* 2^(k/8), less 127 << 23, the exponent of 1, and k << 20, which the index brings along; and the
   logarithm of what rounding took away from it. Twice, for vectors of sixteen. */
#define CYACT_TWICE(a, b, c, d, e, f, g, h) {a, b, c, d, e, f, g, h, a, b, c, d, e, f, g, h}
static const uint32_t cyact_row_powers[16] = CYACT_TWICE(
    0u, 0xfffb95c2u, 0xfff837f0u, 0xfff5fed7u, 0xfff504f3u, 0xfff5672au, 0xfff744fdu,
    0xfffac0c7u);
static const float cyact_row_shifts[16] = CYACT_TWICE(
    0.0f, -1.199215748926008e-08f, 3.1934181521364735e-08f, -3.0990722876822474e-08f,
    1.7114270889351246e-08f, 5.233334210430485e-09f, -1.4719605978541495e-08f,
    -6.128259677495862e-09f);
#endif
