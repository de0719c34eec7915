#include "recalibrate_bn.h"

#include <cmath>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "../core/autograd.h"
#include "../core/ops/batch_norm_probe.h"
#include "../data/data_loader.h"

namespace sinter::quant {

namespace {

// Mean and squares around it of all values so far (Chan, Golub & LeVeque 1979).
struct Pool {
  Tensor running_mean, running_var;
  double count = 0;
  std::vector<double> mean, squares;

  void add(const BatchNormProbe::Seen& seen) {
    const auto rows = static_cast<double>(seen.count), total = count + rows;
    mean.resize(seen.mean.size());
    squares.resize(seen.var.size());
    for (size_t c = 0; c < mean.size(); ++c) {
      const double delta = seen.mean[c] - mean[c];
      squares[c] += rows * seen.var[c] + delta * delta * count * rows / total;
      mean[c] += delta * rows / total;
    }
    count = total;
  }
};

using Names = std::unordered_map<const float*, std::string>;  // of buffers, by their elements

Names names_of_buffers(const nn::Module& model) {
  Names names;
  for (const NamedParameter& buffer : model.named_state()) {
    const Tensor& value = buffer.value.tensor();
    if (!buffer.value.trained() && value.dtype() == DType::float32) names.emplace(value.data<float>(), buffer.name);
  }
  return names;
}

void check_finite(const std::vector<float>& values, const std::string& name) {
  for (size_t c = 0; c < values.size(); ++c)
    check(std::isfinite(values[c]), "recalibrate_bn: ", name, " would be ", values[c], " in channel ", c,
          ": the images or the model's values are not finite");
}

}  // namespace

void recalibrate_bn(nn::Module& model, const data::Dataset& dataset, const RecalibrateOptions& options) {
  const Names names = names_of_buffers(model);
  std::map<std::string, Pool> pools;  // by the name of the running mean
  {
    const NoGrad no_grad;
    const nn::ModeOverride evaluation(false);
    const BatchNormProbe probe([&](const BatchNormProbe::Seen& seen) {
      const auto name = names.find(seen.running_mean.data<float>());
      check(name != names.end() && names.contains(seen.running_var.data<float>()),
            "recalibrate_bn: running statistics ", seen.running_mean.shape(),
            " are used but not in the module tree: list them in SINTER_CHILDREN");
      Pool& pool = pools[name->second];
      pool.running_mean = seen.running_mean;
      pool.running_var = seen.running_var;
      pool.add(seen);
    });
    data::DataLoader loader(dataset, {.batch = options.batch,
                                      .seed = options.seed,
                                      .batches = options.batches,
                                      .workers = options.workers,
                                      .collate = options.collate});
    for (const auto& batch : loader) model(options.inputs(batch));
  }
  check(!pools.empty(), "recalibrate_bn: ", model.title(), " runs no batch normalisation; is it folded into the ",
        "convolutions already, or a prepared model that is not in FakeQuantState::qat (set_fake_quantize)?");

  std::vector<std::pair<Tensor, std::vector<float>>> results;
  const auto result = [&](const Tensor& buffer, std::vector<float> values) {
    check_finite(values, names.at(buffer.data<float>()));
    results.emplace_back(buffer, std::move(values));
  };
  for (const auto& entry : pools) {
    const Pool& pool = entry.second;
    std::vector<float> mean(pool.mean.begin(), pool.mean.end()), var;
    for (const double squares : pool.squares) var.push_back(static_cast<float>(squares / (pool.count - 1)));
    result(pool.running_mean, std::move(mean));
    result(pool.running_var, std::move(var));
  }
  for (auto& [buffer, values] : results)
    std::copy(values.begin(), values.end(), sinter::detail::Access::write<float>(buffer));
}

}  // namespace sinter::quant
