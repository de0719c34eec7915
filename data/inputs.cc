#include "inputs.h"

namespace sinter::data {

Inputs::Inputs(std::initializer_list<const char*> given) {
  std::vector<std::string> names(given.begin(), given.end());
  check(!names.empty(), "inputs: no names were given; leave them out for the images alone");
  description_ = joined(names);
  function_ = [names = std::move(names)](const Batch& batch) {
    std::vector<Tensor> inputs;
    for (const std::string& name : names) inputs.push_back(name == "image" ? batch.images : batch[name]);
    return inputs;
  };
}

std::vector<Tensor> Inputs::operator()(const Batch& batch) const {
  if (!function_) return {batch.images};
  std::vector<Tensor> inputs = function_(batch);
  check(!inputs.empty(), "inputs: the function gave none");
  return inputs;
}

int64_t count_of(const Batch& batch) {
  return batch.images.defined() ? batch.images.size(0) : static_cast<int64_t>(batch.samples.size());
}

}  // namespace sinter::data
