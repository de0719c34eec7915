#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../core/op.h"
#include "../core/profiler.h"
#include "../core/tensor.h"

namespace sinter::test {

/// Passes where |actual - expected| <= atol + rtol * |expected|; NaN equals NaN. Integers are compared exactly.
struct Tolerance {
  double rtol = 1e-5;
  double atol = 1e-6;
};

using TensorFunction = std::function<Tensor(const std::vector<Tensor>&)>;
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

/// One case of tests/golden/<area>.json, which tests/golden/<area>.py made with PyTorch. Images are [N,H,W,C] and
/// weights OHWI in it.
struct GoldenCase {
  std::string name;
  std::vector<Field> attributes;
  NamedTensors inputs, outputs;
  /// The gradients of the inputs, for the gradients of the outputs that are here as well, under the outputs' names.
  NamedTensors gradients;

  /// T is bool, int64_t, double, std::string or std::vector<int64_t>; an integer reads as a double, too. Throws Error
  /// when there is none of that name and type.
  template <class T>
  T attribute(const std::string& name) const;
  const Tensor& input(const std::string& name) const;
  const Tensor& output(const std::string& name) const;
  const Tensor& gradient(const std::string& name) const;
};

/// All cases of an area. Throws Error when the file is missing, malformed or empty.
std::vector<GoldenCase> golden(const std::string& area);
/// The path of a file of tests/golden.
std::string golden_file(const std::string& name);

/// Whether freed tensors are kept for reuse: under AddressSanitizer nothing is, so that it sees each use after free.
bool allocator_caches();

struct GradientOptions {
  double step = 1e-2;  ///< small enough to stay off kinks, large enough for float noise to vanish
  double rtol = 1e-2;
  double atol = 1e-3;
  uint64_t seed = 1;          ///< of the projection of the output on one number
  int64_t max_elements = 64;  ///< checked per input, evenly spread
};

/// Values at least `gap` from each other and gap / 2 from zero, about half of them negative, in random order: for
/// operations with kinks (ReLU, max).
Tensor distinct(const Shape& shape, uint64_t seed = 1, double gap = 0.1);
/// Standard normal values.
Tensor normal(const Shape& shape, uint64_t seed = 1, double std = 1);

/// The first steps, `warm_up` of `steps`, may fetch what the others use.
struct SteadyOptions {
  int warm_up = 2;
  int steps = 10;
};

/// f(0), f(1), ... f(count - 1), each on a thread of its own, at once. The first exception is passed on.
void at_once(int count, const std::function<void(int)>& f);

/// What a profiler recorded, by name; without `(outside)`.
std::map<std::string, Profiler::Entry> entries_of(const Profiler& profiler);

// What the macros below call: each returns what is wrong, or an empty string.
std::string difference(const Tensor& actual, const Tensor& expected, const Tolerance& tolerance);
std::string golden_failure(const GoldenCase& c, const TensorFunction& f, const Tolerance& tolerance = {});
std::string gradient_failure(const TensorFunction& f, const std::vector<Tensor>& x, const GradientOptions& o = {});
std::string threads_failure(const TensorFunction& f, const std::vector<Tensor>& x);
std::string steady_failure(const std::function<void(int)>& step, const SteadyOptions& o = {});
std::string error_failure(const std::function<void()>& f, const std::string& expected);

inline std::string difference(const Tensor& actual, const Tensor& expected, double rtol = Tolerance{}.rtol,
                              double atol = Tolerance{}.atol) {
  return difference(actual, expected, Tolerance{rtol, atol});
}

/// Functions of one to four tensors as functions of a vector. (A generic lambda has to name its types.)
template <class F>
TensorFunction as_function(F f) {
  using T = const Tensor&;
  if constexpr (std::is_invocable_v<F&, const std::vector<Tensor>&>)
    return f;
  else if constexpr (std::is_invocable_v<F&, T>)
    return [f](const std::vector<Tensor>& x) { return f(x.at(0)); };
  else if constexpr (std::is_invocable_v<F&, T, T>)
    return [f](const std::vector<Tensor>& x) { return f(x.at(0), x.at(1)); };
  else if constexpr (std::is_invocable_v<F&, T, T, T>)
    return [f](const std::vector<Tensor>& x) { return f(x.at(0), x.at(1), x.at(2)); };
  else
    return [f](const std::vector<Tensor>& x) { return f(x.at(0), x.at(1), x.at(2), x.at(3)); };
}

}  // namespace sinter::test

#define SINTER_CHECK_NO_FAILURE(failure)               \
  do {                                                 \
    const std::string failure_ = (failure);            \
    DOCTEST_CHECK_MESSAGE(failure_.empty(), failure_); \
  } while (false)

/// CHECK_CLOSE(actual, expected), CHECK_CLOSE(actual, expected, rtol, atol): see Tolerance.
#define CHECK_CLOSE(...) SINTER_CHECK_NO_FAILURE(::sinter::test::difference(__VA_ARGS__))

/// Same shape, type and bits.
#define CHECK_SAME(actual, expected) SINTER_CHECK_NO_FAILURE(::sinter::test::difference(actual, expected, 0, 0))

/// CHECK_GOLDEN(golden_case, f), CHECK_GOLDEN(golden_case, f, {.rtol = 1e-4}): f of the case's inputs gives its only
/// output and, where the case has gradients, these.
#define CHECK_GOLDEN(c, f, ...)                           \
  SINTER_CHECK_NO_FAILURE(::sinter::test::golden_failure( \
      c, ::sinter::test::as_function(f) __VA_OPT__(, ::sinter::test::Tolerance) __VA_ARGS__))

/// CHECK_GRADIENT(f, {a, b}), CHECK_GRADIENT(f, {a, b}, {.step = 1e-3}): backward against central differences of
/// sum(f * random), for every float32 input, together and each alone. The inputs are not changed.
#define CHECK_GRADIENT(f, ...) \
  SINTER_CHECK_NO_FAILURE(::sinter::test::gradient_failure(::sinter::test::as_function(f), __VA_ARGS__))

/// CHECK_THREADS(f, {a, b}): output and gradients have the same bits with 1 to 4 threads. Use inputs large enough
/// to be split.
#define CHECK_THREADS(f, ...) \
  SINTER_CHECK_NO_FAILURE(::sinter::test::threads_failure(::sinter::test::as_function(f), __VA_ARGS__))

/// CHECK_STEADY(step), CHECK_STEADY(step, {.warm_up = 4}): after the warm-up step(i) fetches no tensor's memory from
/// the system, makes no primitive, and not every step has more than a few page faults. (Any may have some, for the
/// first use of a part of a block, of the heap or of the stack; where a step's tensors are new to the system, every
/// step has many.)
#define CHECK_STEADY(step, ...) \
  SINTER_CHECK_NO_FAILURE(::sinter::test::steady_failure(step __VA_OPT__(, ::sinter::test::SteadyOptions) __VA_ARGS__))

/// The expression throws sinter::Error with a message that contains the text.
#define CHECK_ERROR(expression, expected) \
  SINTER_CHECK_NO_FAILURE(::sinter::test::error_failure([&] { static_cast<void>(expression); }, expected))
