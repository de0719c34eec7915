#pragma once
// Private: the tape behind `call` and `Tensor::backward`.

#include <memory>
#include <vector>

#include "op.h"

namespace sinter::detail {

/// One recorded call.
struct TapeNode {
  struct Edge {                          // where the gradient of an input goes
    std::shared_ptr<TapeNode> producer;  // the call that made it, or
    int output = 0;
    std::shared_ptr<Autograd> leaf;  // the leaf; neither: no gradient is wanted
  };
  std::shared_ptr<const Op> op;
  Context context;
  std::vector<Edge> inputs;
  Specs outputs;
  uint64_t sequence = 0;
  bool freed = false;
  ~TapeNode();
};

/// What a tensor knows about gradients.
struct Autograd {
  bool requires_grad = false;
  Tensor grad;
  std::shared_ptr<TapeNode> producer;
  int output = 0;
};

/// Makes the outputs of a call know where they came from.
void record_on_tape(std::shared_ptr<const Op> op, Context context, const std::vector<Tensor>& inputs,
                    std::vector<Tensor>& outputs);

/// The one way for the library's own files to a tensor's private parts.
struct Access {
  static std::shared_ptr<Storage>& storage(Tensor& t) { return t.storage_; }
  static const std::shared_ptr<Storage>& storage(const Tensor& t) { return t.storage_; }
  static std::shared_ptr<Autograd>& autograd(Tensor& t) { return t.autograd_; }
  static const std::shared_ptr<Autograd>& autograd(const Tensor& t) { return t.autograd_; }
  static const std::shared_ptr<const Symbol>& symbol(const Tensor& t) { return t.symbol_; }
  static Tensor make(std::shared_ptr<Storage> storage, Spec spec);
  static Tensor make_symbol(std::shared_ptr<const Symbol> symbol, Spec spec);
  static Context context(const Op& op, bool training, bool recording, Specs inputs);
  static void seal(Context& context);  // takes the versions of what was kept
  static const Specs& inputs(const Context& context) { return context.inputs_; }
  static std::string& node(Context& context) { return context.node_; }
  static const std::string& node(const Context& context) { return context.node_; }
  static Specs kept(const Context& context);
  static void release(Context& context) { context.kept_.clear(); }
  static Gradients gradients(const TapeNode& node);
  static Tensor& gradient(Gradients& gradients, size_t i) { return gradients.values_[i]; }
};

}  // namespace sinter::detail
