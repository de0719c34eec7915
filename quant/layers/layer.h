#pragma once
// Layers of a BPU, each one type in one file of this folder: which nodes of a network it takes, what it is as an
// instruction, how that runs, what makes it valid. Whoever must know a layer asks it; a list of all is made by the
// build (quant/meson.build). What a layer computes, its witness computes once more (bpu/witness/layers).

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../../core/graph.h"
#include "../program.h"
#include "../quantizer.h"

namespace sinter::quant {

class Channels;

/// What a layer says of a node.
struct Answer {
  bool takes = false;
  std::string reason{};     ///< where it refuses a node that is its kind: why
  bool float_helps = true;  ///< where it does: whether the node can be kept in float
};
inline Answer yes() { return {true}; }
/// The node is another layer's.
inline Answer not_mine() { return {}; }
inline Answer refused(std::string reason, bool float_helps = true) { return {false, std::move(reason), float_helps}; }

/// What an instruction is made from.
struct Lowering {
  const Graph& graph;
  const Node& node;
  std::span<const Grid> x;  ///< of what the layer reads as integers
  const Arithmetic& march;
  const QuantizedWeights* weights = nullptr;  ///< of a convolution or linear layer

  /// What `make` gives of the march's datapath for a layer that sums up to these magnitudes. Throws Error, naming the
  /// node, where no integers reach the ratio or the sums do not fit.
  Rescaling rescaling(const std::function<Rescaling(const Datapath&)>& make, int64_t a_reach,
                      int64_t b_reach = 0) const;
};

/// One run of an instruction.
struct Running {
  const Instruction& step;
  std::span<const Tensor> x;  ///< int8 or int16
  const Shape& shape;         ///< of the output
  const Grid& y;
  const Arithmetic& march;
};

/// An instruction with what is made once for all its runs. Const calls may run at the same time.
class PreparedLayer {
 public:
  virtual ~PreparedLayer() = default;
  /// `real`: what an instruction gives as accumulators is wanted as real numbers, float32.
  virtual Tensor run(std::span<const Tensor> x, const Shape& shape, bool real) const = 0;
};

/// The largest magnitudes of a and b, the operands of a rescaling.
struct Reach {
  int64_t a = 0, b = 0;
};

/// A layer, immutable.
class Layer {
 public:
  virtual ~Layer() = default;
  /// In programs, messages and reports.
  virtual std::string_view name() const = 0;
  virtual Answer takes(const Graph& graph, const Node& node) const = 0;

  /// Whether the output is on the grid of the first input; else it has a quantiser of its own.
  virtual bool passes() const { return false; }
  /// Whether operands that are parameters or numbers are read as integers, on grids of their own; else the layer sees
  /// to them.
  virtual bool reads_constants() const { return false; }
  /// What is read in place of such an operand. Here: itself.
  virtual Tensor constant(const Node&, const Tensor& value) const { return value; }
  /// Whether what passes is held to the output's bounds, which may be narrower than the input's.
  virtual bool limits() const { return false; }
  /// Whether the output may have negative values, where `inputs`: those that it reads may.
  virtual bool may_be_negative(const Graph& graph, const Node& node, bool inputs) const;
  /// Whether the float operation's gradient needs its forward pass.
  virtual bool remembers() const { return false; }

  /// Completes an instruction, which has the node's operation and reads its activations in order, and y: where it is
  /// the layer's own, its scale and type are there and its bounds are the type's. Throws Error, naming the node. Here:
  /// what passes gives y the input's grid.
  virtual void lower(const Lowering& from, Instruction& step, Grid& y) const;

  /// Writes the output, which has elements. Here: an Error, for layers that have one of the next two.
  virtual void run(const Running& r, Tensor& y) const;
  /// The output, of `r.shape` and the type of `r.y`. Here: a new tensor and `run`.
  virtual Tensor output(const Running& r) const;
  /// Here: nothing is made once.
  virtual std::unique_ptr<const PreparedLayer> prepare(const IntegerProgram& program, const Instruction& step) const;

  /// Throws Error, a predicate ("has ...", "reads ..."), for an instruction that `lower` never makes. That inputs exist
  /// and are of integers, and the types of what passes, are known.
  virtual void check(const IntegerProgram& program, const Instruction& step) const = 0;
  /// What the instruction has besides inputs, operation and rescalings: of weight, bias, weight_scales, table,
  /// constants.
  virtual std::vector<std::string_view> parts() const { return {}; }
  /// Whether it may give accumulators, then without rescalings.
  virtual bool can_be_head() const { return false; }
  /// The output's shape, for one image. Here: what the operation infers. Throws Error like `check`.
  virtual Shape shape(const IntegerProgram& program, const Instruction& step) const;
  /// By rescaling that it has to have, how large its operands may be.
  virtual std::vector<Reach> reaches(const IntegerProgram& program, const Instruction& step) const;

  /// Multiplications of a run, for profiles; 0: not worth counting.
  virtual int64_t macs(const Instruction& step, const Shape& x, const Shape& y) const;
  /// What the real values of the output never exceed by definition (6 behind a ReLU6), for comparisons, where those of
  /// the first input never exceed `before`.
  virtual float ceiling(const Instruction& step, float before) const;
  /// The channels of its outputs, and which of them scale with which of its inputs (post_training/channels.h). Here:
  /// none does.
  virtual std::vector<std::vector<size_t>> channels(Channels& channels, const Graph& graph, const Node& node) const;
};

/// The layer of that name. Throws Error listing the known ones.
const Layer& layer_named(std::string_view name);
std::vector<std::string> layer_names();

namespace detail {
void add_layer(std::unique_ptr<const Layer> layer);
}

/// A layer of a user's own, asked before the built-in ones from then on:
/// `static const quant::RegisteredLayer<Mine> registered;`
template <class T>
struct RegisteredLayer {
  RegisteredLayer() { detail::add_layer(std::make_unique<const T>()); }
};

}  // namespace sinter::quant
