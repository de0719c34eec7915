#include "op_work.h"

#include <utility>

namespace sinter::detail {

namespace {

thread_local const std::string* node_name = nullptr;

Profiler::Work work_of(const Op& op, const Context& context, const Specs& outputs, Profiler::Kind kind) {
  std::string call = describe_call(op.name(), Access::inputs(context), outputs);
  const std::string& node = Access::node(context);
  return {.name = node.empty() ? call : node, .kind = kind, .call = std::move(call)};
}

}  // namespace

NodeName::NodeName(const std::string& name) { node_name = &name; }
NodeName::~NodeName() { node_name = nullptr; }

int64_t bytes_of(const Specs& specs) {
  int64_t bytes = 0;
  for (const Spec& spec : specs) bytes += spec.shape.elements() * size_of(spec.dtype);
  return bytes;
}

std::string describe_call(std::string_view op, const Specs& inputs, const Specs& outputs) {
  std::string out(op);
  for (const Spec& spec : inputs) out += text(" ", spec.shape);
  out += " ->";
  for (const Spec& spec : outputs) out += text(" ", spec.shape);
  return out;
}

Profiler::Work forward_work(const Op& op, Context& context, const Specs& outputs) {
  if (const std::string* name = std::exchange(node_name, nullptr)) Access::node(context) = *name;
  Profiler::Work work = work_of(op, context, outputs, Profiler::Kind::forward);
  const Specs& inputs = Access::inputs(context);
  work.flops = 2 * op.macs(inputs);
  if (op.aliasing() != Aliasing::view) work.bytes = bytes_of(inputs) + bytes_of(outputs);
  return work;
}

Profiler::Work backward_work(const TapeNode& node, const Gradients& dx) {
  const Context& context = node.context;
  Profiler::Work work = work_of(*node.op, context, node.outputs, Profiler::Kind::backward);
  int64_t factors = 0, elements = 0;
  for (const Spec& spec : node.outputs) elements += spec.shape.elements();
  for (size_t i = 0; i < dx.size(); ++i) {
    if (!dx.wanted(i)) continue;
    if (i < 2) ++factors;
    elements += context.input(i).shape.elements();
  }
  work.flops = 2 * factors * node.op->macs(Access::inputs(context));
  if (node.op->aliasing() != Aliasing::view)
    work.bytes = elements * size_of(DType::float32) + bytes_of(Access::kept(context));
  return work;
}

}  // namespace sinter::detail
