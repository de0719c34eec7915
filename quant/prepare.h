#pragma once

#include <atomic>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../nn/freezing.h"
#include "../nn/module.h"
#include "march.h"
#include "qconfig.h"
#include "quantizer.h"

namespace sinter::quant {

/// What a forward pass of a prepared model does.
enum class FakeQuantState {
  calibration,  ///< float, in evaluation behaviour; every activation is observed
  qat,  ///< integers with straight-through gradients; observes while training, with a scale that includes the batch
  validation,  ///< integers with the scales there are, as the BPU computes; no gradients
};
std::string to_string(FakeQuantState state);

struct PrepareOptions {
  QConfig qconfig = get_default_qconfig();   ///< of the whole model; by_type and by_path say what differs
  std::map<std::string, QConfig> by_type{};  ///< by operation: "conv2d", "linear", "add"
  /// By node, module, or input (the longest path counts); `.weight` or `.activation` at its end: of that tensor alone.
  /// An output of the network is of high precision unless its own `.activation` is given. `#2` at a path's end is a
  /// module's second call, `#1` its first.
  std::map<std::string, QConfig> by_path{};
  /// "fuse_bn": batch normalisation is folded before QAT. "with_bn": it is trained in QAT, on the integers of weights
  /// that are scaled by gamma / sigma; VALIDATION folds it.
  std::string batch_norm = "fuse_bn";
  MarchChoice march{};  ///< "bayes" or a March; none: default_march()
  /// How real numbers become integers: "half_to_even", or "bpu_round", floor(x + 0.5). What a march rescales is rounded
  /// as its datapath does.
  std::string rounding = "half_to_even";
  /// Scales that are powers of two, the smallest not below what the observer or training asks for: "none", but where
  /// the march wants them, those of "activations", or "all", those of weights too.
  std::string power_of_two = "none";
};

class Runner;
struct NodeConfigs;
struct TracedNetwork;

/// A network as its quantised layers: batch normalisation folded, additions and activations fused into convolutions,
/// dropout gone (QAT trains without). It is trained, saved, copied and evaluated like any module. Parameters are
/// `<node>.weight` and `<node>.bias`; with "with_bn" those of batch normalisation; what is learned of scales:
/// `<node>.activation.scale` and `<node>.weight.scale` (lsq), `.alpha` (pact), or as a fake-quant of one's own says.
/// Buffers are the ranges that were observed, `<node>.activation.range` and `.seen`, scales of weights that a
/// post-training method froze, `<node>.weight.frozen_scale`, and with "with_bn" the running statistics.
/// Modes, FakeQuantState and `freeze_bn`, are in no file, as `training()` is not.
///
/// The network's outputs are of high precision where a convolution or linear layer makes them: int32 accumulators,
/// dequantised to float32.
class PreparedModel : public nn::Module {
 public:
  PreparedModel(const nn::Module& model, const Specs& inputs, const PrepareOptions& options);
  PreparedModel(const TracedNetwork& network, const PrepareOptions& options);

  const Arithmetic& march() const { return march_; }
  /// That of the whole model.
  const QConfig& qconfig() const { return qconfig_; }
  FakeQuantState state() const { return state_; }
  void set_state(FakeQuantState state) { state_ = state; }
  /// The fused graph, with its parameters.
  const Graph& graph() const { return graph_; }
  /// A number of the graph's structure (not of its values): equal for the same network.
  uint32_t fingerprint() const;
  /// The quantisers of the graph's inputs, of what has a scale of its own, and of layers with weights; null where there
  /// is none.
  const ActivationQuantizer* input_quantizer_or_null(size_t i) const;
  const ActivationQuantizer& input_quantizer(size_t i) const { return input_quantizers_.at(i); }
  const ActivationQuantizer* node_quantizer(size_t node) const;
  const WeightQuantizer* weight_quantizer(size_t node) const;
  /// What is one parameter of the float network and several here: a line each.
  const std::vector<std::string>& untied() const { return untied_; }
  std::vector<const ActivationQuantizer*> quantizers() const;
  const std::string& input_name(size_t i) const { return input_names_.at(i); }
  /// Whether a node's operation stays float.
  bool in_float(size_t node) const { return in_float_.at(node); }
  /// Whether a node is of high precision: its int32 accumulators are what it gives.
  bool is_head(size_t node) const { return heads_.at(node); }
  /// Whether a tensor is read by an operation that stays float.
  bool read_as_real(const Operand& operand) const;
  /// How many input values were NaN, and taken as 0, in quantised forward passes so far.
  int64_t nans() const { return nans_->load(); }
  /// Batch normalisation ("with_bn") no longer trains its statistics, in any forward pass.
  void freeze_bn(bool frozen = true) { frozen_bn_ = frozen; }
  bool bn_frozen() const { return frozen_bn_; }

  /// Makes a node's ReLU6 a ReLU: another function, for post-training methods that need it. Throws Error for a node
  /// without one.
  void replace_relu6(size_t node);

  /// Throws Error, starting with `what` and naming the tensors, when some were never observed.
  void check_observed(const char* what) const;

  std::vector<Tensor> forward_all(std::span<const Tensor> x) const override;

  /// A forward pass as in FakeQuantState::validation that shows every activation's integers, by node and in the order
  /// of the graph, inputs first: int8 or int16, the int32 accumulators (bias included) of heads, and float32 where a
  /// node stays float.
  using Inspector = std::function<void(const std::string& node, const Tensor& integers)>;
  std::vector<Tensor> inspect(const Tensor& x, const Inspector& inspector) const;
  std::vector<Tensor> inspect(std::span<const Tensor> x, const Inspector& inspector) const;
  std::vector<Tensor> inspect(std::initializer_list<Tensor> x, const Inspector& inspector) const {
    return inspect(std::span<const Tensor>(x.begin(), x.size()), inspector);
  }
  /// Every layer alone, as in FakeQuantState::validation: on the given real values of what it reads, by node (float32),
  /// each quantised as the model does. Layers whose inputs are not all given are left out.
  void inspect_alone(const std::map<std::string, Tensor>& real, const Inspector& inspector) const;

  void members(nn::MemberVisitor& visitor) const override;
  std::string title() const override;
  bool traceable() const override { return false; }
  void check_trainable() const override;
  nn::Frozen freezable() const override;
  void save_extra(Archive& archive, const std::string& prefix) const override;
  void load_extra(const Archive& archive, const std::string& prefix) override;

 private:
  void fuse_chains(NodeConfigs& configs);
  void check_layers(const NodeConfigs& configs);
  void place_quantizers(const NodeConfigs& configs);
  std::vector<DType> storage_types() const;
  DType storage_type(const Operand& operand, const std::vector<DType>& nodes) const;
  std::string configuration() const;
  std::shared_ptr<const Runner> runner() const;

  Graph graph_;
  Arithmetic march_;
  QConfig qconfig_;
  FakeQuantState state_ = FakeQuantState::qat;
  bool frozen_bn_ = false;
  std::vector<std::string> input_names_;
  std::vector<bool> in_float_, heads_;                                   // by node
  std::vector<ActivationQuantizer> input_quantizers_, node_quantizers_;  // with gaps
  std::vector<WeightQuantizer> weight_quantizers_;                       // by the first node of the weights, with gaps
  std::vector<size_t> weights_of_;                                       // by node, which of them is its own
  std::vector<std::string> untied_;                                      // as `fuse` says
  // A count that concurrent forward passes share; copies of the model share it as well.
  std::shared_ptr<std::atomic<int64_t>> nans_ = std::make_shared<std::atomic<int64_t>>(0);
  // The program of VALIDATION, until something that it was made of changes.
  struct Lowered;
  static std::shared_ptr<Lowered> nothing_lowered();
  std::shared_ptr<Lowered> lowered_;
};

/// The model, traced for inputs like `example`, fused, and ready for calibration or quantisation-aware training; its
/// state is FakeQuantState::qat. Parameters are copied: `model` stays as it is.
/// The example is a batch, [N,H,W,C] or of any other rank, whatever its N; or one image [H,W,C]: one of three axes is
/// what the network takes, and where it takes both, its shape is to be given instead.
/// Throws Error for a network that cannot be traced or has layers that cannot be quantised, listing them all, for such
/// an example, and for a model that is prepared already.
PreparedModel prepare_qat(const nn::Module& model, const Tensor& example, const PrepareOptions& options = {});

/// The same for several inputs, one example each.
PreparedModel prepare_qat(const nn::Module& model, const std::vector<Tensor>& examples,
                          const PrepareOptions& options = {});
/// The same for batches of these shapes, as they are: `{{DType::float32, {1, 16, 64}}}`.
PreparedModel prepare_qat(const nn::Module& model, const Specs& inputs, const PrepareOptions& options = {});

/// Sets what forward passes do, at once; never touches `training()`. Warns (core/warning.h) where calibration ends with
/// ranges of one batch alone, or with ranges that another function's values had.
void set_fake_quantize(PreparedModel& model, FakeQuantState state);

/// What `load_observer_params` did, by tensor.
struct LoadedObservers {
  std::vector<std::string> loaded;
  std::vector<std::string> only_from;   ///< observed there, unknown here
  std::vector<std::string> only_to;     ///< here, but unknown there or not observed
  std::vector<std::string> other_type;  ///< loaded, but of another integer type there
  /// Loaded, but measured on other parameters than this model has, so that the scales may not fit it.
  std::vector<std::string> other_parameters;
  /// Where march, rounding or powers of two are others: which there and here. The scales are on this model's grid.
  std::string other_arithmetic;
};
std::string to_string(const LoadedObservers& report);

/// Copies what the activations' observers have seen, by node name, and what was learned of their scales where
/// fake-quant and type are the same. Images may be of another size. Where `from` observed the values of other
/// parameters than `to` has (it was equalized, or trained since, or either is of another file), scales may be wrong:
/// this warns (core/warning.h), as do the report and `describe(to)` until as many batches of its own were observed.
/// Throws Error, and changes nothing, when nothing was observed in `from` (are the arguments swapped?), when no name
/// matches, and for tensors of other channels.
LoadedObservers load_observer_params(const PreparedModel& from, PreparedModel& to);

}  // namespace sinter::quant
