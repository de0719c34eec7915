#include <unordered_map>

#include "listed.h"
#include "prepare.h"

namespace sinter::quant {

std::string to_string(const LoadedObservers& report) {
  std::string out = text("loaded ", report.loaded.size(), " observers");
  if (!report.only_from.empty()) out += "; not found in the target: " + listed(report.only_from);
  if (!report.only_to.empty()) out += "; not observed in the source: " + listed(report.only_to);
  if (report.other_march) out += "; the marches differ, scales are on the target's grid";
  return out;
}

LoadedObservers load_observer_params(const PreparedModel& from, PreparedModel& to) {
  LoadedObservers report;
  report.other_march = !(from.march() == to.march());
  std::unordered_map<std::string, const ActivationQuantizer*> sources;
  for (const ActivationQuantizer* quantizer : from.quantizers())
    if (quantizer->batches() > 0) sources[quantizer->name()] = quantizer;
  check(!sources.empty(),
        "load_observer_params: the first model observed nothing; are the arguments swapped, or was it "
        "never run in FakeQuantState::calibration?");
  for (const ActivationQuantizer* target : to.quantizers()) {
    const auto found = sources.find(target->name());
    if (found == sources.end()) {
      report.only_to.push_back(target->name());
      continue;
    }
    target->continue_from(*found->second);
    report.loaded.push_back(target->name());
    sources.erase(found);
  }
  for (const ActivationQuantizer* quantizer : from.quantizers())
    if (sources.count(quantizer->name())) report.only_from.push_back(quantizer->name());
  check(!report.loaded.empty(), "load_observer_params: no tensor of one model is in the other; the first has ",
        listed(report.only_from), ", the second ", listed(report.only_to));
  return report;
}

}  // namespace sinter::quant
