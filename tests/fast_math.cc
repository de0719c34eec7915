// A user's program under -ffast-math: what the headers of the library compute must not change with it. No doctest here:
// its own arithmetic would be compiled so as well.

#include <sinter/sinter.h>

#include <bit>
#include <cstdio>

using namespace sinter;

namespace {

int failures = 0;

void expect(const char* what, double found, double expected) {
  if (std::bit_cast<uint64_t>(found) == std::bit_cast<uint64_t>(expected)) return;
  std::printf("%s is %.17g, expected %.17g\n", what, found, expected);
  ++failures;
}

// Known to no compiler.
template <class T>
T hidden(T value) {
  volatile T copy = value;
  return copy;
}

}  // namespace

int main() {
  using quant::Rounding;
  const float nan = std::bit_cast<float>(hidden(uint32_t{0x7fc00000})),
              infinity = std::bit_cast<float>(hidden(0x7f800000u));
  const auto even = [](float x) { return quant::quantize(hidden(x), 1, {}, Rounding::half_to_even); };
  const auto up = [](float x) { return quant::quantize(hidden(x), 1, {}, Rounding::half_up); };
  expect("quantize(2.6)", even(2.6f), 3);
  expect("quantize(2.5)", even(2.5f), 2);
  expect("quantize(-3.5)", even(-3.5f), -4);
  expect("quantize(2.5), half up", up(2.5f), 3);
  expect("quantize(0.49999997), half up", up(0.49999997f), 0);
  expect("quantize(NaN)", even(nan), 0);
  expect("quantize(inf)", even(infinity), 127);
  expect("quantize(-inf)", even(-infinity), -128);
  expect("round_as(1e15 + 0.5)", quant::round_as(Rounding::half_to_even, hidden(1e15 + 0.5)), 1e15);
  expect("rescale",
         quant::make_datapath("single")->rescale(hidden(int64_t{5}), hidden(int64_t{-1}),
                                                 {.first = 3, .second = 2, .post = 1}, {}),
         6);  // 6.5
  expect("dequantize", static_cast<double>(quant::dequantize(hidden(1234567), hidden(0.1f), hidden(0.3f))),
         static_cast<double>(std::bit_cast<float>(0x4710ad03u)));
  const quant::Range average = quant::averaged({hidden(-1.0f), hidden(1e8f)}, {hidden(-2.0f), hidden(1.0f)}, 0.01);
  expect("averaged", static_cast<double>(average.max), 1e8 - 1e6);
  expect("scale_from_range", static_cast<double>(quant::scale_from_range(hidden(-1.0f), hidden(3.0f))), 3.0f / 127.5f);
  const quant::Pact pact;
  expect("pact's scale", static_cast<double>(pact.scale(hidden(5.0f), {-127, 127})), 5.0f / 127.0f);

  // Observers find what is not finite, and settings that say nothing.
  const auto refused = [](const char* what, auto&& call) {
    try {
      call();
      std::printf("%s is accepted\n", what);
      ++failures;
    } catch (const Error&) {
    }
  };
  for (const float odd : {nan, infinity})
    refused("a tensor that is not finite", [&] { quant::Samples(Tensor::full({5}, odd)).range(); });
  refused("a clip without limits", [] { quant::get_default_qconfig({.activation_observer = "clip"}); });
  expect("clip",
         static_cast<double>(
             quant::get_default_qconfig({.activation_observer = "clip", .activation_qkwargs = {{"max", 2.0}}})
                 .activation->make_observer()
                 ->observe(quant::Samples(Tensor::from({2}, {-7, 3})))
                 .min),
         -7);

  // The library's own arithmetic is not replaced by this program's.
  const Tensor x = Tensor::from({5}, {-2.5f, -0.3f, 0.7f, 2.6f, nan});
  const Tensor y = relu(x);
  expect("relu(NaN)", y.at({4}) != y.at({4}) || std::bit_cast<uint32_t>(y.at({4})) == 0x7fc00000u, 1);
  nn::Meter meter;
  meter.add(0.1, Tensor::from({3, 2}, {1, 0, 1, 0, 1, 0}), Tensor::from<int64_t>({3}, {0, 0, 0}));
  expect("accuracy of all", meter.accuracy(), 100);
  return failures == 0 ? 0 : 1;
}
