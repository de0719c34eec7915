#include <map>
#include <unordered_map>

#include "../core/warning.h"
#include "listed.h"
#include "prepare.h"
#include "traced_network.h"

namespace sinter::quant {

std::string to_string(const LoadedObservers& report) {
  std::string out = text("loaded ", report.loaded.size(), " observers");
  if (!report.other_parameters.empty())
    out += text("; MEASURED ON OTHER PARAMETERS than the target has, so that scales may be wrong: ",
                listed(report.other_parameters), "; calibrate the target itself");
  if (!report.only_from.empty()) out += "; not found in the target: " + listed(report.only_from);
  if (!report.only_to.empty()) out += "; not observed in the source: " + listed(report.only_to);
  if (!report.other_type.empty()) out += "; of another type in the source: " + listed(report.other_type);
  if (!report.other_arithmetic.empty()) out += "; " + report.other_arithmetic + ", scales are on the target's grid";
  return out;
}

namespace {

// What a quantiser's tensor is, by its name.
std::map<std::string, Shape> shapes_of(const PreparedModel& model) {
  std::map<std::string, Shape> shapes;
  const Graph& graph = model.graph();
  for (size_t i = 0; i < graph.inputs.size(); ++i) shapes[model.input_name(i)] = graph.inputs[i].shape;
  for (const Node& node : graph.nodes) shapes[node.name] = node.outputs[0].shape;
  return shapes;
}

// The functions that a model's tensors are now, by the names of their quantisers.
class Functions {
 public:
  explicit Functions(const PreparedModel& model) {
    const std::vector<uint64_t> functions = functions_of(model.graph());
    for (size_t i = 0; i < functions.size(); ++i) of_nodes_[model.graph().nodes[i].name] = functions[i];
  }
  uint64_t of(const std::string& name) const {
    const auto found = of_nodes_.find(name);
    return found == of_nodes_.end() ? kFunctionOfInputs : found->second;
  }

 private:
  std::map<std::string, uint64_t> of_nodes_;
};

// Sizes of images may differ between calibration and training.
bool same_channels(const Shape& a, const Shape& b) {
  return a.rank() == b.rank() && (a.rank() == 0 || a[a.rank() - 1] == b[b.rank() - 1]);
}

}  // namespace

LoadedObservers load_observer_params(const PreparedModel& from, PreparedModel& to) {
  LoadedObservers report;
  if (!(from.march() == to.march()))
    report.other_arithmetic = text("the source is for ", brief(from.march()), ", the target for ", brief(to.march()));
  std::unordered_map<std::string, const ActivationQuantizer*> sources;
  for (const ActivationQuantizer* quantizer : from.quantizers())
    if (quantizer->batches() > 0) sources[quantizer->name()] = quantizer;
  check(!sources.empty(),
        "load_observer_params: the first model observed nothing; are the arguments swapped, or was it "
        "never run in FakeQuantState::calibration?");
  const auto shapes_there = shapes_of(from), shapes_here = shapes_of(to);
  for (const ActivationQuantizer* target : to.quantizers()) {
    if (!sources.count(target->name())) continue;
    const Shape &there = shapes_there.at(target->name()), &here = shapes_here.at(target->name());
    check(same_channels(there, here), "load_observer_params: ", target->name(), " is ", there,
          " in the first model and ", here, " in the second, expected as many channels; are they the same network?");
  }
  const Functions there(from), here(to);
  for (const ActivationQuantizer* target : to.quantizers()) {
    const auto found = sources.find(target->name());
    if (found == sources.end()) {
      report.only_to.push_back(target->name());
      continue;
    }
    const ActivationQuantizer& source = *found->second;
    target->continue_from(source);
    report.loaded.push_back(target->name());
    const uint64_t measured = source.function() != 0 ? source.function() : there.of(target->name());
    // Batches of its own do not make what the source was loaded with its own at once.
    const bool mixed = source.is_measured_elsewhere() && measured == there.of(target->name());
    const bool elsewhere = mixed || measured != here.of(target->name());
    target->set_measured_elsewhere(elsewhere);
    if (elsewhere) report.other_parameters.push_back(target->name());
    if (!(found->second->type() == target->type())) report.other_type.push_back(target->name());
    sources.erase(found);
  }
  for (const ActivationQuantizer* quantizer : from.quantizers())
    if (sources.count(quantizer->name())) report.only_from.push_back(quantizer->name());
  check(!report.loaded.empty(), "load_observer_params: no tensor of one model is in the other; the first has ",
        listed(report.only_from), ", the second ", listed(report.only_to),
        "; prepare both from the same network: prepare_qat(net, example, ...)");
  if (!report.other_parameters.empty()) warn("load_observer_params: ", report);
  return report;
}

}  // namespace sinter::quant
