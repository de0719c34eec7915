#pragma once
// QAT in evaluation, VALIDATION, the simulator and the witness on one prepared model.

#include "../../bpu/compile.h"
#include "../../bpu/reference.h"
#include "../../bpu/simulator.h"
#include "../../core/parallel.h"
#include "../data/files.h"
#include "../support.h"

namespace sinter::test {

/// One thread while it lives: tensors as small as those of most tests are done before a second one wakes up.
struct OneThread {
  int before = threads();
  OneThread() { set_threads(1); }
  ~OneThread() { set_threads(before); }
};

/// The first `count` of a batch.
inline Tensor first_images(const Tensor& x, int64_t count) {
  const auto each = static_cast<size_t>(x.elements() / x.size(0));
  return Tensor::from(x.shape().with(0, count), x.values<float>().subspan(0, static_cast<size_t>(count) * each));
}

using Shown = std::vector<std::pair<std::string, Tensor>>;

inline void check_shown(const Shown& found, const Shown& expected) {
  REQUIRE(found.size() == expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    CAPTURE(expected[i].first);
    CHECK(found[i].first == expected[i].first);
    CHECK_SAME(found[i].second, expected[i].second);
  }
}

/// All of them give the same bits, every value of every tensor, also from the program's file; the witness on the first
/// image alone. Returns the results. The model is left in QAT, in training.
inline std::vector<Tensor> check_agreement(quant::PreparedModel& model, const std::vector<Tensor>& x) {
  const NoGrad no_grad;
  model.eval();
  quant::set_fake_quantize(model, quant::FakeQuantState::qat);
  const std::vector<Tensor> qat = model(std::span<const Tensor>(x));
  quant::set_fake_quantize(model, quant::FakeQuantState::validation);
  const std::vector<Tensor> validated = model(std::span<const Tensor>(x));
  const bpu::Simulator simulator(bpu::compile(model));
  const TemporaryDirectory directory;
  bpu::save(simulator.program(), directory / "program");
  const bpu::Simulator loaded(bpu::load_program(directory / "program"));
  Shown values, from_file;
  const auto into = [](Shown& shown) {
    return [&shown](const std::string& name, const Tensor& t) { shown.emplace_back(name, t); };
  };
  const std::vector<Tensor> simulated = simulator.inspect(x, into(values));
  const std::vector<Tensor> simulated_file = loaded.inspect(x, into(from_file));
  REQUIRE(simulated.size() == validated.size());
  for (size_t i = 0; i < validated.size(); ++i) {
    CAPTURE(i);
    CHECK_SAME(qat[i], validated[i]);
    CHECK_SAME(simulated[i], validated[i]);
    CHECK_SAME(simulated_file[i], validated[i]);
  }
  check_shown(from_file, values);
  Shown inspected;
  model.inspect(x, into(inspected));
  check_shown(inspected, values);
  std::vector<Tensor> one;
  for (const Tensor& input : x) one.push_back(first_images(input, 1));
  Shown witnessed, simulated_one;
  bpu::Reference(simulator.program()).inspect(one, into(witnessed));
  simulator.inspect(one, into(simulated_one));
  check_shown(witnessed, simulated_one);
  quant::set_fake_quantize(model, quant::FakeQuantState::qat);
  model.train();
  return validated;
}
inline Tensor check_agreement(quant::PreparedModel& model, const Tensor& x) {
  return check_agreement(model, std::vector<Tensor>{x})[0];
}

}  // namespace sinter::test
