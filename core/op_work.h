#pragma once
// Private: what a profiler is told of an operation.

#include <string>
#include <string_view>

#include "autograd.h"
#include "profiler.h"

namespace sinter::detail {

/// While alive, the next operation of this thread is that node of a graph to a profiler; operations inside it are not.
class NodeName {
 public:
  explicit NodeName(const std::string& name);
  ~NodeName();
  NodeName(const NodeName&) = delete;
  NodeName& operator=(const NodeName&) = delete;
};

/// Bytes of all tensors.
int64_t bytes_of(const Specs& specs);
/// `conv2d [8,5,5,3] [4,3,3,3] -> [8,5,5,4]`
std::string describe_call(std::string_view op, const Specs& inputs, const Specs& outputs);

/// The context takes the node's name along, for backward.
Profiler::Work forward_work(const Op& op, Context& context, const Specs& outputs);
/// The multiply-accumulates of the gradients of inputs 0 and 1, the factors, as many as forward's each.
Profiler::Work backward_work(const TapeNode& node, const Gradients& dx);

}  // namespace sinter::detail
