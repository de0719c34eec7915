#pragma once
// Private: how `fit` and `evaluate` run a model.

#include <memory>
#include <span>
#include <vector>

#include "../core/graph.h"
#include "module.h"

namespace sinter::nn {

/// A model as its graph, which the trace checks and the fusion makes faster: for inputs of the first shapes that it
/// sees. For others, and where no trace shows all that it does, it runs as it is written, with the same bits.
class Forward {
 public:
  /// `batch` is the size to trace with. Where `strict`, a model that cannot be traced is an Error.
  Forward(const Module& model, int64_t batch, bool strict) : model_(&model), batch_(batch), strict_(strict) {}

  /// `hook` sees the nodes' values; a model that runs as it is written shows none.
  Outputs operator()(std::span<const Tensor> x, const Graph::NodeHook& hook = {});
  /// Traces anew: something of the model changed that the graph holds.
  void forget() {
    graph_ = nullptr;
    tried_ = false;
  }
  const Graph* graph() const { return graph_.get(); }

 private:
  void make(std::span<const Tensor> x);
  bool fits(std::span<const Tensor> x) const;

  const Module* model_;
  int64_t batch_;
  bool strict_, tried_ = false;
  std::shared_ptr<const Graph> graph_;
};

}  // namespace sinter::nn
