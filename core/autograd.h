#pragma once
// Private: the tape behind `call` and `Tensor::backward`.

#include <atomic>
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

/// Hears of the parameters that operations of this thread use while a network runs.
struct ParameterUse {
  const void* network = nullptr;
  bool recording = false;  // when it was called
  /// Throws Error unless it is one of the network's.
  virtual void check_listed(const Tensor& parameter, std::string_view op) = 0;

 protected:
  ~ParameterUse() = default;
};
/// Makes it the thread's until the scope ends; null: nobody hears.
class ParameterUseScope {
 public:
  explicit ParameterUseScope(ParameterUse* use);
  ~ParameterUseScope();
  ParameterUseScope(const ParameterUseScope&) = delete;
  ParameterUseScope& operator=(const ParameterUseScope&) = delete;

 private:
  ParameterUse* before_;
};
/// Tells the thread's network what an operation reads.
void note_parameters(std::span<const Tensor> inputs, std::string_view op);
[[noreturn]] void fail_unlisted(const Tensor& parameter, std::string_view op);

/// While alive, operations of this thread are recorded on the tape, or not.
class GradMode {
 public:
  explicit GradMode(bool on);
  ~GradMode();
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool before_;
};

/// What a tensor knows about gradients.
struct Autograd {
  bool requires_grad = false;
  bool parameter = false;                       // of a Parameter, which a network should list,
  std::atomic<const void*> listed_by{nullptr};  // as this one was last seen to
  Tensor grad;
  std::shared_ptr<TapeNode> producer;
  int output = 0;
};

/// Makes the outputs of a call know where they came from.
void record_on_tape(std::shared_ptr<const Op> op, Context context, const std::vector<Tensor>& inputs,
                    std::vector<Tensor>& outputs);

/// While alive, what this thread writes into tensors is written before anybody reads them: the pointers of
/// `mutable_data` are not kept, as a user's may be. Operations run inside one.
class OwnWrites {
 public:
  OwnWrites();
  ~OwnWrites();
  OwnWrites(const OwnWrites&) = delete;
  OwnWrites& operator=(const OwnWrites&) = delete;

 private:
  bool before_;
};

/// The one way for the library's own files to a tensor's private parts.
struct Access {
  static std::shared_ptr<Storage>& storage(Tensor& t) { return t.storage_; }
  static const std::shared_ptr<Storage>& storage(const Tensor& t) { return t.storage_; }
  static std::shared_ptr<Autograd>& autograd(Tensor& t) { return t.autograd_; }
  static const std::shared_ptr<Autograd>& autograd(const Tensor& t) { return t.autograd_; }
  static const std::shared_ptr<const Symbol>& symbol(const Tensor& t) { return t.symbol_; }
  /// `mutable_data`, whose pointer the caller does not keep.
  template <class T>
  static T* write(Tensor& t) {
    const OwnWrites own;
    return t.mutable_data<T>();
  }
  static Tensor make(std::shared_ptr<Storage> storage, Spec spec);
  static Tensor make_symbol(std::shared_ptr<const Symbol> symbol, Spec spec);
  static Context context(const Op& op, bool training, bool recording, Specs inputs);
  static void seal(Context& context);  // takes the stamps of what was kept
  static const Specs& inputs(const Context& context) { return context.inputs_; }
  static std::string& node(Context& context) { return context.node_; }
  static const std::string& node(const Context& context) { return context.node_; }
  static Specs kept(const Context& context);
  static void release(Context& context) { context.kept_.clear(); }
  static Gradients gradients(const TapeNode& node);
  static Tensor& gradient(Gradients& gradients, size_t i) { return gradients.values_[i]; }
};

}  // namespace sinter::detail
