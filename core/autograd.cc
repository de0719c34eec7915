#include "autograd.h"

#include <atomic>
#include <queue>
#include <unordered_map>
#include <utility>

#include "op_work.h"
#include "parallel.h"

namespace sinter {

using detail::Access;
using detail::TapeNode;

namespace detail {

Tensor Access::make(std::shared_ptr<Storage> storage, Spec spec) {
  Tensor tensor;
  tensor.storage_ = std::move(storage);
  tensor.spec_ = std::move(spec);
  return tensor;
}

Tensor Access::make_symbol(std::shared_ptr<const Symbol> symbol, Spec spec) {
  Tensor tensor;
  tensor.symbol_ = std::move(symbol);
  tensor.spec_ = std::move(spec);
  return tensor;
}

Context Access::context(const Op& op, bool training, bool recording, Specs inputs) {
  Context context;
  context.training_ = training;
  context.recording_ = recording;
  context.op_ = op.name();
  context.inputs_ = std::move(inputs);
  return context;
}

void Access::seal(Context& context) {
  for (auto& kept : context.kept_) kept.stamp = kept.storage->stamp();
}

Specs Access::kept(const Context& context) {
  Specs specs;
  for (const auto& kept : context.kept_) specs.push_back(kept.spec);
  return specs;
}

Gradients Access::gradients(const TapeNode& node) {
  Gradients gradients;
  gradients.wanted_.reserve(node.inputs.size());
  for (const auto& edge : node.inputs) gradients.wanted_.push_back(edge.producer != nullptr || edge.leaf != nullptr);
  gradients.values_.resize(node.inputs.size());
  gradients.inputs_ = &node.context.inputs_;
  gradients.op_ = node.op->name();
  return gradients;
}

namespace {
thread_local ParameterUse* parameter_use = nullptr;
}

ParameterUseScope::ParameterUseScope(ParameterUse* use) : before_(std::exchange(parameter_use, use)) {}
ParameterUseScope::~ParameterUseScope() { parameter_use = before_; }

void note_parameters(std::span<const Tensor> inputs, std::string_view op) {
  if (parameter_use == nullptr) return;
  // Who switched gradients off inside of a network (a teacher's, in distillation) trains nothing there.
  if (parameter_use->recording && !grad_enabled()) return;
  for (const Tensor& x : inputs) {
    const auto& autograd = Access::autograd(x);
    if (autograd == nullptr || !autograd->parameter || !autograd->requires_grad) continue;
    if (autograd->listed_by.load(std::memory_order_relaxed) == parameter_use->network) continue;
    parameter_use->check_listed(x, op);
    autograd->listed_by.store(parameter_use->network, std::memory_order_relaxed);
  }
}

void fail_unlisted(const Tensor& parameter, std::string_view op) {
  fail("parameter of shape ", parameter.shape(), " used in ", op,
       " but not in the module tree: list it in SINTER_CHILDREN");
}

void record_on_tape(std::shared_ptr<const Op> op, Context context, const std::vector<Tensor>& inputs,
                    std::vector<Tensor>& outputs) {
  static std::atomic<uint64_t> next_sequence{0};
  auto node = std::make_shared<TapeNode>();
  Access::seal(context);
  node->op = std::move(op);
  node->context = std::move(context);
  node->sequence = next_sequence++;
  node->inputs.reserve(inputs.size());
  for (const Tensor& x : inputs) {
    const auto& autograd = Access::autograd(x);
    if (autograd == nullptr)
      node->inputs.push_back({});
    else if (autograd->producer != nullptr)
      node->inputs.push_back({autograd->producer, autograd->output, nullptr});
    else
      node->inputs.push_back({nullptr, 0, autograd->requires_grad ? autograd : nullptr});
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    node->outputs.push_back(outputs[i].spec());
    if (outputs[i].dtype() == DType::int64) continue;  // indices have no gradient; integers of a quantiser have
    auto autograd = std::make_shared<Autograd>();
    autograd->requires_grad = true;
    autograd->producer = node;
    autograd->output = static_cast<int>(i);
    Access::autograd(outputs[i]) = std::move(autograd);
  }
}

// Nodes are taken apart in a loop: left to itself, one destructor inside the other would exhaust the stack of a deep
// network. Edges are taken from a node whether or not others lead to the same producer, as those may go next.
TapeNode::~TapeNode() {
  std::vector<std::shared_ptr<TapeNode>> producers;
  const auto take = [&producers](TapeNode& node) {
    for (auto& edge : node.inputs)
      if (edge.producer != nullptr) producers.push_back(std::move(edge.producer));
  };
  take(*this);
  while (!producers.empty()) {
    const std::shared_ptr<TapeNode> node = std::move(producers.back());
    producers.pop_back();
    if (node.use_count() == 1) take(*node);
  }
}

namespace {

void accumulate(Tensor& sum, Tensor term) {
  if (!sum.defined()) {
    sum = std::move(term);
    return;
  }
  Tensor result = Access::storage(sum).use_count() == 1 ? sum : Tensor::empty(sum.shape());
  const float* a = sum.data<float>();
  const float* b = term.data<float>();
  float* out = Access::write<float>(result);
  sinter::parallel_for(sum.elements(), 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = a[i] + b[i];
  });
  sum = std::move(result);
}

struct Later {
  bool operator()(const std::shared_ptr<TapeNode>& a, const std::shared_ptr<TapeNode>& b) const {
    return a->sequence < b->sequence;
  }
};

void run_backward(const std::shared_ptr<TapeNode>& root, int output, Tensor seed, bool retain) {
  const NoGrad no_grad;
  std::unordered_map<TapeNode*, std::vector<Tensor>> pending;
  // Calls are numbered in the order in which they ran: the latest pending one has all its gradients.
  std::priority_queue<std::shared_ptr<TapeNode>, std::vector<std::shared_ptr<TapeNode>>, Later> queue;
  const auto deliver = [&](const std::shared_ptr<TapeNode>& node, int index, Tensor gradient) {
    const auto [it, fresh] = pending.try_emplace(node.get(), node->outputs.size());
    if (fresh) queue.push(node);
    accumulate(it->second[index], std::move(gradient));
  };
  deliver(root, output, std::move(seed));
  while (!queue.empty()) {
    const std::shared_ptr<TapeNode> node = queue.top();
    queue.pop();
    check(!node->freed, "backward: what ", node->op->name(),
          " kept was freed by an earlier backward; call backward(retain = true) the first time");
    Gradients dx = Access::gradients(*node);
    const Profiler::Scope scope([&] { return backward_work(*node, dx); });
    auto found = pending.find(node.get());
    std::vector<Tensor> dy = std::move(found->second);
    pending.erase(found);
    for (size_t i = 0; i < dy.size(); ++i)
      if (!dy[i].defined()) dy[i] = Tensor::zeros(node->outputs[i].shape);
    {
      const OwnWrites own;
      node->op->backward(node->context, dy, dx);
    }
    dy.clear();
    if (!retain) {
      Access::release(node->context);
      node->freed = true;
    }
    for (size_t i = 0; i < node->inputs.size(); ++i) {
      if (!dx.wanted(i)) continue;
      Tensor gradient = std::move(Access::gradient(dx, i));
      check(gradient.defined(), node->op->name(), ": backward set no gradient for input ", i);
      const auto& edge = node->inputs[i];
      if (edge.producer != nullptr)
        deliver(edge.producer, edge.output, std::move(gradient));
      else if (!edge.leaf->grad.defined() && Access::storage(gradient).use_count() > 1)
        edge.leaf->grad = gradient.clone();  // users write into gradients: a leaf's is its own
      else
        accumulate(edge.leaf->grad, std::move(gradient));
    }
    if (!retain) node->inputs.clear();
  }
}

}  // namespace

}  // namespace detail

bool Tensor::requires_grad() const { return autograd_ != nullptr && autograd_->requires_grad; }

Tensor& Tensor::set_requires_grad(bool requires_grad) {
  check(autograd_ == nullptr || autograd_->producer == nullptr,
        "set_requires_grad: the tensor was made by an operation; detach() it first");
  check(!requires_grad || dtype() == DType::float32, "set_requires_grad: tensor is ", spec_, ", expected float32");
  if (autograd_ == nullptr) autograd_ = std::make_shared<detail::Autograd>();
  autograd_->requires_grad = requires_grad;
  return *this;
}

Tensor Tensor::grad() const { return autograd_ == nullptr ? Tensor() : autograd_->grad; }

void Tensor::set_grad(Tensor grad) {
  check(!grad.defined() || (grad.shape() == shape() && grad.dtype() == DType::float32), "set_grad: gradient is ",
        grad.spec(), ", expected float32 ", shape());
  if (autograd_ == nullptr) autograd_ = std::make_shared<detail::Autograd>();
  autograd_->grad = std::move(grad);
}

void Tensor::backward(bool retain) const {
  check(requires_grad(), "backward: the tensor depends on nothing that requires a gradient");
  check(elements() == 1, "backward: tensor is ", shape(), "; one that has several elements needs a seed gradient");
  backward(ones(shape()), retain);
}

void Tensor::backward(const Tensor& seed, bool retain) const {
  check(requires_grad(), "backward: the tensor depends on nothing that requires a gradient");
  check(seed.defined(), "backward: seed is an undefined tensor, expected float32 ", shape());
  check(seed.shape() == shape() && seed.dtype() == DType::float32, "backward: seed is ", seed.spec(),
        ", expected float32 ", shape());
  if (autograd_->producer == nullptr)
    detail::accumulate(autograd_->grad, seed.clone());
  else
    detail::run_backward(autograd_->producer, autograd_->output, seed.detach(), retain);
}

}  // namespace sinter
