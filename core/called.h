#pragma once

namespace sinter {

/// Options under the names that PyTorch has for them: who gives them a value reads in the compiler's error what they
/// are called here.
struct ItIsCalledIn {
  ItIsCalledIn() = default;
  template <class T>
  ItIsCalledIn(T) = delete;
};
struct ItIsCalledOut {
  ItIsCalledOut() = default;
  template <class T>
  ItIsCalledOut(T) = delete;
};
struct ItIsCalledKernel {
  ItIsCalledKernel() = default;
  template <class T>
  ItIsCalledKernel(T) = delete;
};

}  // namespace sinter
