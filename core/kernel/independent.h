#pragma once
// Private: SINTER_INDEPENDENT before a loop says that its elements do not depend on each other, though arrays may be
// the same: the compiler would ask at run time whether they overlap, and take one element at a time where they do.

#ifdef __clang__
#define SINTER_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define SINTER_INDEPENDENT _Pragma("GCC ivdep")
#endif
