#pragma once
// Private: which channels of a prepared graph can be scaled, and which only together.

#include <string>
#include <vector>

#include "../../core/graph.h"

namespace sinter::quant {

/// The channels (last axis) of a fused graph's activations in classes. Multiply all channels of one class by a positive
/// factor, in the layers that produce them, and divide by it where layers read them: the network stays the same
/// function. Every convolution and linear layer opens classes of its own; additions and reshapes tie classes together;
/// ReLU, pooling and means pass them on. A class is pinned where a factor would be seen: in the network's inputs and
/// outputs, in a ReLU6, in an operation that is not known here to be homogeneous (products, tables, concatenation,
/// slices, borders, resizing).
class Channels {
 public:
  explicit Channels(const Graph& graph);

  /// One above the largest class; not every number below is one.
  size_t bound() const { return parents_.size(); }
  /// The class of each channel of an activation.
  std::vector<size_t> of(const Operand& activation) const;
  /// Why a class must not be scaled; empty when it may.
  const std::string& pinned(size_t channel_class) const { return pinned_[channel_class]; }
  void pin(const Operand& activation, const std::string& reason);

  // For layers, which say what becomes of them.
  using Ids = std::vector<size_t>;
  const Ids& ids(const Operand& activation) const;
  /// Classes of their own.
  Ids open(const Spec& spec);
  /// Of equally many channels, or one that is broadcast to all.
  void tie(const Ids& a, const Ids& b);
  void pin(const Ids& ids, const std::string& reason);
  /// The same row-major values with another last axis.
  Ids regroup(const Ids& from, const Spec& to);
  /// The outputs of a node that does not scale with what it reads.
  std::vector<Ids> pinned_at(const Node& node);

 private:
  size_t root(size_t id) const;
  void tie(size_t a, size_t b);

  std::vector<size_t> parents_;      // a forest; roots are classes
  std::vector<std::string> pinned_;  // of roots
  std::vector<Ids> inputs_;
  std::vector<std::vector<Ids>> nodes_;  // by node and output
};

}  // namespace sinter::quant
