#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "program.h"

namespace sinter::bpu {

/// Runs a program with fast integer kernels: the same integers as the reference interpreter's, and as those of the
/// prepared model in FakeQuantState::validation on this machine; on all machines where nothing of the program is in
/// float (quant::run_in_float). One simulator serves several threads.
class Simulator {
 public:
  /// Sees the integers of a value: int8 or int16 [N,...], int32 accumulators of a head, float32 of what stays float.
  using Inspector = std::function<void(const std::string& name, const Tensor& integers)>;

  /// Throws Error for a program that `check_program` refuses, or whose accumulators could leave 32 bits.
  explicit Simulator(Program program);
  Simulator(Simulator&&) noexcept;
  Simulator& operator=(Simulator&&) noexcept;
  ~Simulator();

  const Program& program() const;

  /// Float32 images, quantised with the input's scale (NaN becomes 0), to float32 results. Throws Error for other
  /// shapes and for a program of several inputs or outputs.
  Tensor operator()(const Tensor& x) const;
  std::vector<Tensor> operator()(std::span<const Tensor> x) const;
  std::vector<Tensor> operator()(std::initializer_list<Tensor> x) const {
    return (*this)(std::span<const Tensor>(x.begin(), x.size()));
  }
  /// The outputs as integers, before they become real (OutputScale says how): int32 accumulators where an output is of
  /// high precision, int8 or int16 where it has a scale; float32 where it has no integers.
  std::vector<Tensor> integers(std::span<const Tensor> x) const;
  std::vector<Tensor> integers(std::initializer_list<Tensor> x) const {
    return integers(std::span<const Tensor>(x.begin(), x.size()));
  }
  /// The same as a call, showing every value: inputs first, then in the order of the instructions.
  std::vector<Tensor> inspect(std::span<const Tensor> x, const Inspector& inspector) const;
  std::vector<Tensor> inspect(std::initializer_list<Tensor> x, const Inspector& inspector) const {
    return inspect(std::span<const Tensor>(x.begin(), x.size()), inspector);
  }
  /// Every instruction alone, on the given real values of what it reads (by name, float32), each quantised as the value
  /// is; those whose inputs are not all given are left out.
  void inspect_alone(const std::map<std::string, Tensor>& real, const Inspector& inspector) const;

 private:
  struct Prepared;
  std::unique_ptr<const Prepared> prepared_;
};

}  // namespace sinter::bpu
