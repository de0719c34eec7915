#include "layer.h"

#include "../../core/activation.h"
#include "../../core/error.h"
#include "../post_training/channels.h"
#include "checks.h"

namespace sinter::quant {

Rescaling explained(const std::string& node, const std::function<Rescaling()>& make) {
  try {
    return make();
  } catch (const Error& error) {
    if (std::string_view(error.what()).find("; ") != std::string_view::npos) fail(node, ": ", error.what());
    fail(node, ": ", error.what(),
         "; the output's scale is too small for what it holds (calibration saw only zeros, a learned one has "
         "collapsed, or training diverged: lower the learning rate, that of learned scales by a rule for *.scale), or "
         "operands are of scales too far apart (their qconfigs by_path)");
  }
}

Rescaling Lowering::rescaling(const std::function<Rescaling(const Datapath&)>& make, int64_t a_reach,
                              int64_t b_reach) const {
  return explained(node.name, [&] {
    const Rescaling by = make(*march.datapath);
    march.datapath->check_rescaling(by, a_reach, b_reach);
    return by;
  });
}

Shape operation_shape(const IntegerProgram& program, const Instruction& step) {
  Specs specs;
  size_t next = 0;
  for (const Tensor& constant : step.constants) {
    if (constant.defined()) {
      specs.push_back(constant.spec());
      continue;
    }
    check(next < step.inputs.size(), "has ", step.inputs.size(), " inputs, fewer than its operation");
    specs.push_back({DType::float32, program.values[step.inputs[next++]].shape});
  }
  check(next == step.inputs.size() || (step.constants.empty() && step.layer != kCpu), "has ", step.inputs.size(),
        " inputs, but its operation reads ", next, " of them");
  for (; next < step.inputs.size(); ++next) specs.push_back({DType::float32, program.values[step.inputs[next]].shape});
  const Specs results = step.op->infer(specs);
  check(results.size() == 1 && results[0].dtype == DType::float32, "has an operation with other results");
  return results[0].shape;
}

bool Layer::may_be_negative(const Graph&, const Node&, bool inputs) const { return inputs; }

void Layer::lower(const Lowering& from, Instruction&, Grid& y) const {
  sinter::check(passes(), name(), ": the layer does not say how it is lowered");
  y = from.x[0];
}

void Layer::run(const Running&, Tensor&) const { fail(name(), ": the layer does not say how it runs"); }

Tensor Layer::output(const Running& r) const {
  Tensor y = Tensor::empty(r.shape, r.y.dtype);
  if (y.elements() > 0) run(r, y);
  return y;
}

std::unique_ptr<const PreparedLayer> Layer::prepare(const IntegerProgram&, const Instruction&) const { return nullptr; }

Shape Layer::shape(const IntegerProgram& program, const Instruction& step) const {
  return operation_shape(program, step);
}

std::vector<Reach> Layer::reaches(const IntegerProgram&, const Instruction&) const { return {}; }

int64_t Layer::macs(const Instruction&, const Shape&, const Shape&) const { return 0; }

float Layer::ceiling(const Instruction&, float before) const {
  return passes() ? before : sinter::ceiling(Activation::none);
}

std::vector<std::vector<size_t>> Layer::channels(Channels& channels, const Graph&, const Node& node) const {
  return channels.pinned_at(node);
}

}  // namespace sinter::quant
