// Every layer, three times: in VALIDATION, in the simulator and for the witness.

#include <unistd.h>

#include <filesystem>

#include "../../bpu/compare.h"
#include "../../bpu/compile.h"
#include "../../core/file.h"
#include "../../core/op_registry.h"
#include "../../data/dataset.h"
#include "nets.h"

using namespace sinter;

namespace {

// The integers of every value; equal for model, simulator and witness, or the test fails.
int64_t compared(const quant::PreparedModel& model, const std::vector<Tensor>& x) {
  const bpu::Simulator simulator(bpu::compile(model));
  const bpu::Reference reference{bpu::Program(simulator.program())};
  std::vector<std::pair<std::string, Tensor>> expected;
  const auto results =
      model.inspect(x, [&](const std::string& name, const Tensor& q) { expected.emplace_back(name, q); });
  int64_t count = 0;
  const auto expect = [&](const char* who, size_t& at, const std::string& name, const Tensor& q) {
    CAPTURE(std::string(who));
    CAPTURE(name);
    REQUIRE(at < expected.size());
    CHECK(expected[at].first == name);
    CHECK_SAME(q, expected[at++].second);
    count += q.elements();
  };
  size_t at = 0, again = 0;
  const auto simulated =
      simulator.inspect(x, [&](const std::string& name, const Tensor& q) { expect("simulator", at, name, q); });
  const auto witnessed =
      reference.inspect(x, [&](const std::string& name, const Tensor& q) { expect("witness", again, name, q); });
  CHECK(at == expected.size());
  CHECK(again == expected.size());
  for (size_t i = 0; i < results.size(); ++i) {
    CHECK_SAME(simulated[i], results[i]);
    CHECK_SAME(witnessed[i], results[i]);
  }
  return count;
}

}  // namespace

TEST_CASE("every layer has the same integers in validation, in the simulator and for the witness") {
  const Tensor x = test::formula_images({2, 16, 16, 3});
  for (const char* dtype : {"int8", "int16", "int4", "int2"})
    CHECK(compared(test::more_layers(quant::March::bayes, dtype), {x}) > 10000);
  for (const char* dtype : {"int8", "int4"})
    CHECK(compared(test::more_layers(quant::March::bernoulli2, dtype), {x}) > 10000);
}
