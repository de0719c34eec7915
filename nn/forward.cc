#include "forward.h"

#include "../core/fuse.h"

namespace sinter::nn {

void Forward::make(std::span<const Tensor> x) {
  tried_ = true;
  if (!model_->traceable()) return;
  Specs specs;
  for (const Tensor& input : x) {
    Spec spec = input.spec();
    check(spec.shape.rank() > 0, model_->title(), ": input ", specs.size(), " has no axes, expected [N,...]");
    spec.shape = spec.shape.with(0, batch_);
    specs.push_back(spec);
  }
  try {
    graph_ = std::make_shared<const Graph>(fuse_batch_norm(trace(*model_, specs)));
  } catch (const Error&) {
    if (strict_) throw;  // else no graph has its control flow: it runs as it is written
  }
}

bool Forward::fits(std::span<const Tensor> x) const {
  if (graph_ == nullptr || x.size() != graph_->inputs.size()) return false;
  for (size_t i = 0; i < x.size(); ++i) {
    Spec spec = x[i].spec();
    if (spec.shape.rank() > 0) spec.shape = spec.shape.with(0, batch_);
    if (!(spec == graph_->inputs[i])) return false;
  }
  return true;
}

Outputs Forward::operator()(std::span<const Tensor> x, const Graph::NodeHook& hook) {
  if (!tried_) make(x);
  if (!fits(x)) return (*model_)(x);
  return graph_->run({x.begin(), x.end()}, hook);
}

}  // namespace sinter::nn
