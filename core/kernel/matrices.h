#pragma once
// Private: products of matrices of integers.

#include <cstdint>

#include "isa.h"

namespace sinter::kernel {

/// Columns of a panel.
constexpr int64_t kPanel = 32;

/// x[i][k] is x[i * step + k * depth_step], of int8 or int16.
template <class T>
struct Matrix {
  const T* x = nullptr;
  int64_t count = 0, depth = 0;  ///< of i and of k
  int64_t step = 0, depth_step = 0;
};

/// Pairs of values that are neighbours in depth, 0 behind its end.
template <class T>
struct PackOf {
  /// [count][pairs][2]
  void (*rows)(const Matrix<T>& m, int16_t* to);
  /// [panels][pairs][kPanel][2], 0 behind the last of `count`.
  void (*panels)(const Matrix<T>& m, int16_t* to);
};

struct MatrixKernels {
  PackOf<int8_t> bytes;
  PackOf<int16_t> words;
  /// c [rows][columns] = the sum over `pairs` of a's rows times b's panels, modulo 2^32.
  void (*product)(const int16_t* a, const int16_t* b, int64_t rows, int64_t columns, int64_t pairs, int32_t* c);
};

SINTER_DECLARE_KERNELS(MatrixKernels, matrix_kernels)
#if defined(__x86_64__)
extern const MatrixKernels matrix_kernels_vnni;  // AVX-512 with VNNI
#endif

/// The fastest ones of this machine.
inline const MatrixKernels& best_matrix_kernels() {
#if defined(__x86_64__)
  if (onednn::has_vnni()) return matrix_kernels_vnni;
#endif
  return matrix_kernels();
}

inline const PackOf<int8_t>& pack_of(const int8_t*) { return best_matrix_kernels().bytes; }
inline const PackOf<int16_t>& pack_of(const int16_t*) { return best_matrix_kernels().words; }

}  // namespace sinter::kernel
