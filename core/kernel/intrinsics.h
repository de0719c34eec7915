#pragma once
// Private: the vectors of AVX-512, in kernels that are compiled for it.

#ifdef __AVX512F__
#include <immintrin.h>
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 says both of its own header
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#endif
