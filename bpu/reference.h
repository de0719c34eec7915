#pragma once

#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "program.h"

namespace sinter::bpu {

/// The witness: runs a program one number at a time in 64-bit integers, with nothing of the code that made it. From the
/// scales alone it works out every multiplier, shift and bound in rational arithmetic, and refuses a program that has
/// others. Slow: for checking the simulator, not for using.
class Reference {
 public:
  using Inspector = std::function<void(const std::string& name, const Tensor& integers)>;

  /// Throws Error naming every value whose integers are not those that its scales ask for.
  explicit Reference(Program program);

  const Program& program() const { return program_; }
  /// As Simulator::inspect: float32 images to the integers of every value, and the float32 results.
  std::vector<Tensor> inspect(std::span<const Tensor> x, const Inspector& inspector) const;
  std::vector<Tensor> inspect(std::initializer_list<Tensor> x, const Inspector& inspector) const {
    return inspect(std::span<const Tensor>(x.begin(), x.size()), inspector);
  }

 private:
  Program program_;
};

}  // namespace sinter::bpu
