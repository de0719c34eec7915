#include <map>
#include <unordered_map>

#include "listed.h"
#include "prepare.h"

namespace sinter::quant {

std::string to_string(const LoadedObservers& report) {
  std::string out = text("loaded ", report.loaded.size(), " observers");
  if (!report.only_from.empty()) out += "; not found in the target: " + listed(report.only_from);
  if (!report.only_to.empty()) out += "; not observed in the source: " + listed(report.only_to);
  if (!report.other_type.empty()) out += "; of another type in the source: " + listed(report.other_type);
  if (report.other_march) out += "; the marches differ, scales are on the target's grid";
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

// Sizes of images may differ between calibration and training.
bool same_channels(const Shape& a, const Shape& b) {
  return a.rank() == b.rank() && (a.rank() == 0 || a[a.rank() - 1] == b[b.rank() - 1]);
}

}  // namespace

LoadedObservers load_observer_params(const PreparedModel& from, PreparedModel& to) {
  LoadedObservers report;
  report.other_march = !(from.march() == to.march());
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
  for (const ActivationQuantizer* target : to.quantizers()) {
    const auto found = sources.find(target->name());
    if (found == sources.end()) {
      report.only_to.push_back(target->name());
      continue;
    }
    target->continue_from(*found->second);
    report.loaded.push_back(target->name());
    if (!(found->second->type() == target->type())) report.other_type.push_back(target->name());
    sources.erase(found);
  }
  for (const ActivationQuantizer* quantizer : from.quantizers())
    if (sources.count(quantizer->name())) report.only_from.push_back(quantizer->name());
  check(!report.loaded.empty(), "load_observer_params: no tensor of one model is in the other; the first has ",
        listed(report.only_from), ", the second ", listed(report.only_to),
        "; prepare both from the same network: prepare_qat(net, example, ...)");
  return report;
}

}  // namespace sinter::quant
