#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../prepare.h"

namespace sinter::quant {

/// How one tensor of a prepared model is quantised.
struct TensorDescription {
  std::string name;       ///< of the input or node; `<node>.weight`
  std::string operation;  ///< `input`, `weight`, or the node's with all that was fused into it: `conv2d+add+relu`
  std::string dtype;      ///< int16, int8, int4, uint4, int2, uint2; int32: of high precision; float32
  /// Real value = integer * scale: of weights the smallest and the largest of all output channels. 0: not known yet, or
  /// none.
  float scale_min = 0, scale_max = 0;
  Bounds bounds{};         ///< of the integers, as far as they are known without a scale
  std::string observer{};  ///< with its settings, as fake_quant; empty where the tensor has no quantiser
  std::string fake_quant{};
  double averaging_constant = 0;
  /// What its configuration comes from: "default", "type conv2d", "path body.3", "QuantStub"; of a tensor whose scale
  /// is another's: "scale of body.3".
  std::string source{};
  int64_t batches = 0;  ///< observed
  Range range{};        ///< observed; of weights what they have now
};

/// A prepared model as it stands.
struct ModelDescription {
  std::string title;                         ///< march and state
  std::vector<TensorDescription> tensors;    ///< inputs, then by node: weights, output
  std::vector<std::string> warnings, notes;  ///< see analysis/warnings.h
};

/// Throws Error, naming the tensor, for weights that are not finite and a learned scale that is not.
ModelDescription description_of(const PreparedModel& model);
/// A table, then the warnings and notes.
std::string to_string(const ModelDescription& description);
/// The same of a model.
std::string describe(const PreparedModel& model);

}  // namespace sinter::quant
