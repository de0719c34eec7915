// libFuzzer target: the checkpoint of a calibrated model is refused, or the model goes on with what it holds: more
// calibration, validation; errors are Errors.

#include <cstdio>

#include <map>

#include "../../core/autograd.h"
#include "../../core/file.h"
#include "../../core/random.h"
#include "../../nn/checkpoint.h"
#include "../../nn/layers/conv2d.h"
#include "../../quant/prepare.h"
#include "archive_mutator.h"

using namespace sinter;

namespace {

struct Net : nn::Module {
  nn::Conv2d conv{{.in = 2, .out = 4, .kernel = 1}};
  SINTER_CHILDREN(conv)
  Tensor forward(const Tensor& x) const override { return conv(x); }
};

const std::vector<std::string> kObservers{"kl", "mix", "min_max", "percentile", "mse"};

Tensor example() {
  Random random(1);
  return Tensor::normal({1, 4, 4, 2}, random);
}

quant::PreparedModel prepared(const std::string& observer) {
  auto model =
      quant::prepare_qat(Net{}, example(), {.qconfig = quant::get_default_qconfig({.activation_observer = observer})});
  quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
  return model;
}

const std::vector<Archive::Bytes>& seeds() {
  static const auto& all = *new std::vector<Archive::Bytes>([] {
    std::vector<Archive::Bytes> made;
    for (const std::string& observer : kObservers) {
      const auto model = prepared(observer);
      model(example());
      const std::string path = text("/tmp/state_fuzz.", static_cast<int64_t>(getpid()));
      nn::save(model, path);
      made.push_back(read_file(path));
      std::remove(path.c_str());
    }
    return made;
  }());
  return all;
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  return fuzz::mutate(data, size, max_size, seed, "checkpoint", seeds());
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const fuzz::File file(data, size);
  const NoGrad no_grad;
  for (const std::string& observer : kObservers) {
    static auto& models = *new std::map<std::string, quant::PreparedModel>;
    auto found = models.find(observer);
    if (found == models.end()) found = models.emplace(observer, prepared(observer)).first;
    quant::PreparedModel& model = found->second;
    try {
      nn::load(model, file.path());
      quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
      model(example());
      quant::set_fake_quantize(model, quant::FakeQuantState::validation);
      model(example());
    } catch (const Error&) {
    }
  }
  return 0;
}
