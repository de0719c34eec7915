#pragma once
// Private: runs integer programs; VALIDATION and the fast simulator.

#include <functional>
#include <map>
#include <span>

#include "program.h"

namespace sinter::quant {

/// A program ready to run: immutable, for any number of threads.
class Runner {
 public:
  /// Throws Error, naming the layer, where an accumulator could leave 32 bits.
  explicit Runner(IntegerProgram program);
  Runner(Runner&&) noexcept;
  Runner& operator=(Runner&&) noexcept;
  ~Runner();

  const IntegerProgram& program() const;
  /// Called with a value's name and elements, in the order in which they are made, inputs first.
  using Inspector = std::function<void(const std::string& value, const Tensor& elements)>;
  /// The outputs as float32, of float32 inputs [N,...] of the program's shapes.
  std::vector<Tensor> run(std::span<const Tensor> x, const Inspector& inspector = nullptr) const;
  /// Every instruction alone, on the given real values of what it reads (by name, float32), each quantised as the
  /// value is; those whose inputs are not all given are left out.
  void run_alone(const std::map<std::string, Tensor>& real, const Inspector& inspector) const;

 private:
  struct Prepared;
  std::unique_ptr<const Prepared> prepared_;
};

}  // namespace sinter::quant
