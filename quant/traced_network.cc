#include "traced_network.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <optional>

#include "../core/profiler.h"
#include "fused_conv.h"
#include "prepare.h"
#include "stubs.h"

namespace sinter::quant {

namespace {

// Takes the QuantStubs out of a graph: their scales, by input; 0 for what has none.
std::vector<double> take_stubs(const char* what, Graph& graph) {
  std::vector<double> scales(graph.inputs.size(), 0);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const auto* stub = dynamic_cast<const QuantStubOp*>(graph.nodes[i].op.get());
    if (stub == nullptr) continue;
    const Operand from = graph.nodes[i].inputs[0], self{Operand::Kind::node, static_cast<int>(i)};
    check(
        from.kind == Operand::Kind::input, what, ": ", graph.nodes[i].name,
        " (QuantStub) reads no input of the network; a scale inside of it is an observer's: by_path with fixed_scale");
    double& scale = scales[from.index];
    check(scale == 0 || stub->attributes.scale == 0 || scale == stub->attributes.scale, what,
          ": an input has QuantStubs of scales ", scale, " and ", stub->attributes.scale);
    if (stub->attributes.scale != 0) scale = stub->attributes.scale;
    for (Node& node : graph.nodes)
      for (Operand& operand : node.inputs)
        if (operand == self) operand = from;
    for (Operand& operand : graph.outputs)
      if (operand == self) operand = from;
  }
  graph.canonicalize();
  return scales;
}

}  // namespace

TracedNetwork trace_network(const char* what, const nn::Module& model, const Specs& inputs) {
  for (const auto& [path, module] : model.modules())
    check(dynamic_cast<const PreparedModel*>(module) == nullptr, what, ": ",
          path.empty() ? std::string("the model") : path, " is prepared already; give ", what,
          " the float network that it was made from");
  // The batch is symbolic: whatever the example's, it must not show in the graph.
  Specs of_one = inputs;
  for (Spec& spec : of_one)
    if (spec.shape.rank() > 0) spec.shape = spec.shape.with(0, 1);
  TracedNetwork network{trace(model, of_one), {}};
  network.stub_scales = take_stubs(what, network.graph);
  return network;
}

uint32_t fingerprint(const Graph& graph) {
  const std::string structure = to_string(graph);
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(structure.data()), static_cast<uInt>(structure.size())));
}

namespace {

uint64_t mixed(uint64_t number, uint64_t with) {
  number = (number ^ with) * 0x9e3779b97f4a7c15u;
  return number ^ number >> 32;
}

uint64_t mixed(uint64_t number, std::string_view with) {
  for (const char c : with) number = mixed(number, static_cast<unsigned char>(c));
  return number;
}

uint64_t mixed(uint64_t number, const Tensor& with) {
  if (with.dtype() != DType::float32) return number;
  for (const float v : with.values<float>()) number = mixed(number, std::bit_cast<uint32_t>(v));
  return number;
}

}  // namespace

std::vector<uint64_t> functions_of(const Graph& graph) {
  std::vector<uint64_t> functions;
  for (const Node& node : graph.nodes) {
    uint64_t function = mixed(1, node.op->name());
    for (const Operand& operand : node.inputs)
      if (operand.is_activation())
        function = mixed(function, operand.kind == Operand::Kind::node ? functions[operand.index]
                                                                       : static_cast<uint64_t>(operand.index));
    if (const FusedConv* conv = fused_conv(node)) {
      const Folded folded = folded_weights(graph, node);
      function = mixed(mixed(mixed(function, conv->attributes.activation), folded.weight), folded.bias);
    } else {
      for (const Operand& operand : node.inputs)
        if (!operand.is_activation())
          function =
              mixed(function, operand.kind == Operand::Kind::parameter ? graph.parameters[operand.index].value.tensor()
                                                                       : graph.constants[operand.index]);
    }
    functions.push_back(function);
  }
  return functions;
}

Specs specs_of(const std::vector<Tensor>& examples, bool single_images) {
  Specs specs;
  for (const Tensor& example : examples) {
    Shape shape = example.shape();
    if (single_images && shape.rank() == 3) shape = {1, shape[0], shape[1], shape[2]};
    specs.push_back({example.dtype(), shape});
  }
  return specs;
}

TracedNetwork trace_network(const char* what, const nn::Module& model, const std::vector<Tensor>& examples) {
  const Specs images = specs_of(examples, true), batches = specs_of(examples, false);
  if (images == batches) return trace_network(what, model, batches);
  std::optional<TracedNetwork> of_images, of_batches;
  std::string reason;
  try {
    of_images = trace_network(what, model, images);
  } catch (const Error& error) {
    reason = error.what();
  }
  try {
    of_batches = trace_network(what, model, batches);
  } catch (const Error& error) {
    check(of_images.has_value(), reason,
          reason == error.what() ? "" : text("\n  and with the example as a batch, not as one image: ", error.what()));
  }
  const auto ambiguous = std::find_if(examples.begin(), examples.end(), [](const Tensor& x) { return x.rank() == 3; });
  check(!of_images || !of_batches, what, ": an example of ", ambiguous->shape(),
        " is one image [H,W,C] or a batch [N,P,C], and the network takes both; give the image as [1,H,W,C], or the "
        "shape of the batch: Specs{{DType::float32, ",
        ambiguous->shape(), "}}");
  return std::move(of_images ? *of_images : *of_batches);
}

std::vector<std::string> names_of_inputs(const Graph& graph) {
  std::vector<std::string> names;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    names.push_back(graph.inputs.size() == 1 ? "input" : text("input", i));
    while (graph.find(names.back()) >= 0) names.back() += "_";
  }
  return names;
}

void check_inputs(const char* what, const Graph& graph, const std::vector<std::string>& names,
                  std::span<const Tensor> x) {
  check(x.size() == graph.inputs.size(), what, ": got ", x.size(), " inputs, expected ", graph.inputs.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const Shape& expected = graph.inputs[i].shape;
    check(x[i].dtype() == DType::float32 && x[i].rank() == expected.rank() && expected.rank() > 0 &&
              x[i].shape() == expected.with(0, x[i].size(0)),
          what, ": ", names[i], " is ", x[i].spec(), ", expected float32 ", expected, " with any first axis");
    check(x[i].size(0) == x[0].size(0), what, ": ", names[i], " is ", x[i].size(0), " images, ", names[0], " ",
          x[0].size(0), ", expected as many");
  }
}

std::vector<Tensor> calibrate(const Graph& graph, std::span<const Tensor> x,
                              const std::function<const ActivationQuantizer*(const Operand&)>& quantizer_of) {
  const bool observe = !nn::ModeOverride::active();
  const TrainingMode evaluation(false);
  const std::vector<uint64_t> functions = observe ? functions_of(graph) : std::vector<uint64_t>();
  const auto see = [&](Operand::Kind kind, size_t index, const Tensor& value) {
    const ActivationQuantizer* quantizer = quantizer_of({kind, static_cast<int>(index)});
    if (!observe || quantizer == nullptr || value.elements() == 0) return;
    const Profiler::Scope scope("observe");
    quantizer->observe(Samples(value), kind == Operand::Kind::node ? functions[index] : kFunctionOfInputs);
  };
  for (size_t i = 0; i < x.size(); ++i) see(Operand::Kind::input, i, x[i]);
  return graph.run({x.begin(), x.end()}, [&](size_t node, const std::vector<Tensor>& outputs) {
    see(Operand::Kind::node, node, outputs[0]);
  });
}

}  // namespace sinter::quant
