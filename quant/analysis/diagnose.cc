#include "diagnose.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "format.h"
#include "statistics.h"

namespace sinter::quant {

namespace {

// The median channel has lost four of its eight bits to the widest one.
constexpr double kOutlierRatio = 16;
// Normal values reach 5 times their RMS, half as many zeros as a ReLU makes, and sparser ones, up to 20.
constexpr double kCrest = 32;
// Two bits of a range that nothing uses.
constexpr double kUnusedRange = 0.25;
// What makes half of a node's noise is its cause.
constexpr double kMost = 0.5;
// An input that reaches less than this share of its range on one side of zero is one-sided.
constexpr double kOneSided = 0.25;
// A range of half the width has half the scale, and a quarter of the noise.
constexpr double kHalfRange = 0.75;
constexpr size_t kShown = 3;   // nodes in an evidence
constexpr size_t kListed = 8;  // names in a text

struct Suspect {
  std::string node;
  double noise = 0;  // that the cause explains
  std::string evidence{};
};

class Diagnosis {
 public:
  Diagnosis(const Comparison& report, const DiagnoseOptions& options) : report_(report), options_(options) {
    for (const NodeComparison& n : report.nodes) {
      nodes_[n.node] = &n;
      for (const std::string& input : n.inputs) readers_[input].push_back(n.node);
      total_ += noise(n);
    }
  }

  std::vector<Finding> run() {
    outlier_activations();
    outlier_weights();
    saturation();
    rare_values();
    unused_range();
    unfused();
    high_precision();
    inputs();
    large_biases();
    dead();
    shifted();
    coarse();  // what is left
    std::stable_sort(findings_.begin(), findings_.end(),
                     [](const Finding& a, const Finding& b) { return a.share > b.share; });
    return std::move(findings_);
  }

 private:
  static const Difference& own(const NodeComparison& n) { return n.local ? *n.local : n.accumulated; }
  // Where more than the signal is lost, there is nothing left to lose.
  static double noise(const NodeComparison& n) { return std::min(own(n).noise, 1.0); }
  static bool is_sick(const NodeComparison& n) { return own(n).sqnr < kHealthySqnr; }
  static bool has_integers(const NodeComparison& n) { return n.scale > 0; }
  static bool has_outliers(const NodeComparison& n) { return n.a.channel_ratio >= kOutlierRatio; }
  // The largest real value that its integers hold.
  static double range(const NodeComparison& n) {
    return static_cast<double>(n.scale) * std::max(-n.bounds.low, n.bounds.high);
  }
  static std::string decibel(const NodeComparison& n) { return fixed(own(n).sqnr, 1) + " dB alone"; }

  const NodeComparison* find(const std::string& node) const {
    const auto at = nodes_.find(node);
    return at == nodes_.end() ? nullptr : at->second;
  }

  // Those for which a tensor's scale matters: what makes it and what reads it.
  std::vector<const NodeComparison*> affected(const NodeComparison& n) const {
    std::vector<const NodeComparison*> all{&n};
    const auto readers = readers_.find(n.node);
    if (readers != readers_.end())
      for (const std::string& reader : readers->second) all.push_back(nodes_.at(reader));
    return all;
  }

  // Each node's noise once, whichever suspects it is blamed on.
  double share(const std::set<const NodeComparison*>& blamed) const {
    double sum = 0;
    for (const NodeComparison* n : blamed) sum += noise(*n);
    return total_ > 0 ? sum / total_ : 0;
  }

  void add(const std::string& cause, double share, std::vector<Suspect> suspects, const std::string& remedy) {
    if (suspects.empty()) return;
    std::stable_sort(suspects.begin(), suspects.end(),
                     [](const Suspect& a, const Suspect& b) { return a.noise > b.noise; });
    Finding finding{.cause = cause, .share = std::min(share, 1.0), .remedy = remedy};
    for (const Suspect& suspect : suspects) {
      finding.nodes.push_back(suspect.node);
      if (finding.nodes.size() <= kShown)
        finding.evidence += text(finding.nodes.size() == 1 ? "" : "\n", suspect.node, ": ", suspect.evidence);
    }
    if (suspects.size() > kShown) finding.evidence += text("\nand ", suspects.size() - kShown, " more");
    findings_.push_back(std::move(finding));
  }

  void add(const std::string& cause, std::vector<Suspect> suspects, const std::string& remedy) {
    double sum = 0;
    for (const Suspect& suspect : suspects) sum += suspect.noise;
    add(cause, total_ > 0 ? sum / total_ : 0, std::move(suspects), remedy);
  }

  // A cause that lies in the scale of a tensor, and shows wherever that is made or read.
  void add_tensors(const std::string& cause, const std::function<std::string(const NodeComparison&)>& evidence,
                   const std::string& remedy) {
    std::vector<Suspect> suspects;
    std::set<const NodeComparison*> blamed;
    for (const NodeComparison& n : report_.nodes) {
      if (!has_integers(n)) continue;
      const std::string found = evidence(n);
      if (found.empty()) continue;
      const NodeComparison* worst = nullptr;
      for (const NodeComparison* other : affected(n)) {
        if (!is_sick(*other)) continue;
        blamed.insert(other);
        if (worst == nullptr || noise(*other) > noise(*worst)) worst = other;
      }
      if (worst == nullptr) continue;
      explained_.insert(n.node);
      suspects.push_back({n.node, noise(*worst), text(found, "; ", worst->node, " has ", decibel(*worst))});
    }
    for (const NodeComparison* n : blamed) explained_.insert(n->node);
    add(cause, share(blamed), std::move(suspects), remedy);
  }

  void outlier_activations() {
    add_tensors(
        "outlier channels in activations",
        [](const NodeComparison& n) {
          return has_outliers(n) ? text("channel ", n.a.widest_channel, " of ", n.a.channels, " reaches ",
                                        short_number(n.a.reach()), ", ", short_number(n.a.channel_ratio),
                                        " times the median channel")
                                 : std::string();
        },
        "equalize a newly prepared model, then calibrate; else QAT from the calibration, or int16 or run_in_float for "
        "these nodes (PrepareOptions::by_path)");
  }

  void outlier_weights() {
    std::vector<Suspect> suspects;
    for (const WeightComparison& w : report_.weights) {
      const NodeComparison* n = find(w.node);
      // Output channels have scales of their own, unless somebody gave them one.
      const bool one_scale = w.output_ratio >= kOutlierRatio && w.scale_min == w.scale_max && w.output_channels > 1;
      if (n == nullptr || !is_sick(*n) || w.scale_max <= 0 || (w.input_ratio < kOutlierRatio && !one_scale)) continue;
      explained_.insert(n->node);
      suspects.push_back({w.node, noise(*n),
                          text("the widest ", one_scale ? "output" : "input", " channel reaches ",
                               short_number(one_scale ? w.output_ratio : w.input_ratio),
                               " times the median one, weights have ", fixed(w.sqnr, 1), " dB; ", decibel(*n))});
    }
    add("outlier channels in weights", std::move(suspects),
        "equalize a newly prepared model, then calibrate; weight scales per output channel; else QAT from the "
        "calibration");
  }

  void saturation() {
    std::vector<Suspect> suspects;
    for (const NodeComparison& n : report_.nodes) {
      const Difference& d = own(n);
      if (!has_integers(n) || !is_sick(n) || d.clipping < kMost) continue;
      explained_.insert(n.node);
      suspects.push_back(
          {n.node, noise(n) * d.clipping,
           text(percent(d.saturated), " saturated, ", percent(d.clipping), " of the error there; values ", "reach ",
                short_number(n.a.reach()), ", integers ", short_number(range(n)), "; ", decibel(n))});
    }
    add("saturation", std::move(suspects),
        "a wider range: observer min_max, or percentile with a larger percentile; calibrate on data like these");
  }

  void rare_values() {
    add_tensors(
        "a range that few values need",
        [](const NodeComparison& n) {
          const bool found =
              !has_outliers(n) && n.a.rms > 0 && range(n) > kCrest * n.a.rms && n.a.reach() >= kUnusedRange * range(n);
          return found ? text("the range of ", short_number(range(n)), " is ", short_number(range(n) / n.a.rms),
                              " times the RMS of its values, ", percent(own(n).used_levels), " of the integers occur")
                       : std::string();
        },
        "observer percentile, mse or kl instead of min_max; else lsq or QAT, or int16 for these nodes");
  }

  void unused_range() {
    add_tensors(
        "a scale too large for its values",
        [](const NodeComparison& n) {
          if (n.a.rms <= 0 || n.a.reach() >= kUnusedRange * range(n)) return std::string();
          return text("the scale is ", short_number(static_cast<double>(n.scale)), ", integers reach ",
                      short_number(range(n)), ", but values only ", short_number(n.a.reach()), ", ",
                      percent(own(n).used_levels), " of the integers occur");
        },
        "calibrate again, on data like these and without fixed_scale; values below the smallest scale of the march: "
        "equalize, or run_in_float");
  }

  void unfused() {
    std::vector<Suspect> suspects;
    for (const std::string& line : options_.unfused) {
      const std::string node = line.substr(0, line.find_first_of(" :"));
      const NodeComparison* n = find(node);
      suspects.push_back({node, n == nullptr ? 0 : noise(*n),
                          line.substr(std::min(line.find_first_not_of(" :", node.size()), line.size()))});
    }
    add("an unfused pattern", std::move(suspects),
        "let every convolution have its batch-norm, addition and activation to itself, in this order, so that fuse() "
        "makes one layer of them with one rounding");
  }

  void high_precision() {
    std::vector<Suspect> suspects;
    for (const NodeComparison& n : report_.nodes) {
      if (!n.output || n.accumulators || !has_integers(n)) continue;
      const double unit = static_cast<double>(n.scale);
      const double rounding = n.a.rms > 0 ? unit * unit / 12 / (n.a.rms * n.a.rms) : 0;
      suspects.push_back({n.node, std::min(rounding, noise(n)),
                          text("rounded to ", n.bounds.high - n.bounds.low + 1, " integers of ", short_number(unit),
                               "; ", decibel(n))});
    }
    add("an output without high precision", std::move(suspects),
        "activation_fake_quant = none for the output: the network ends in a convolution or linear layer, without an "
        "activation, whose accumulators stay int32; softmax and the like follow in float");
  }

  void inputs() {
    std::vector<Suspect> suspects;
    for (const NodeComparison& n : report_.nodes) {
      if (!n.input || !has_integers(n) || n.a.rms <= 0) continue;
      const bool one_sided = std::min(-n.a.min, n.a.max) < kOneSided * n.a.reach();
      if (!one_sided && n.a.mean * n.a.mean <= kMost * n.a.rms * n.a.rms) continue;
      suspects.push_back({n.node, kHalfRange * noise(n),
                          text("values are in ", short_number(n.a.min), "..", short_number(n.a.max), " with mean ",
                               short_number(n.a.mean), ", ", percent(own(n).used_levels), " of the integers occur")});
    }
    add("an input that is not symmetric", std::move(suspects),
        "normalise images to a mean of 0 (mean and std of ImageDatasetOptions), for example to -1..1 with "
        "QuantStub(1.0 / 128)");
  }

  void large_biases() {
    std::vector<Suspect> suspects;
    for (const WeightComparison& w : report_.weights) {
      const NodeComparison* n = find(w.node);
      if (n == nullptr || !is_sick(*n) || w.bias_limited == 0) continue;
      explained_.insert(n->node);
      suspects.push_back({w.node, noise(*n),
                          text(w.bias_limited, " of ", w.output_channels, " output channels have a bias near 2^30, so ",
                               "that their weight scales may have been raised, up to ",
                               short_number(static_cast<double>(w.scale_max)), "; ", decibel(*n))});
    }
    add("biases at their limit", std::move(suspects),
        "retrain without channels that are dead but for their bias, or run_in_float for these nodes");
  }

  void dead() {
    std::vector<Suspect> lost, silent;
    for (const NodeComparison& n : report_.nodes) {
      if (n.values == 0) continue;
      if (n.a.rms <= 0) {
        silent.push_back({n.node, noise(n), text("all ", n.values, " values are 0 in ", report_.a)});
      } else if (n.b.rms <= 0) {
        explained_.insert(n.node);
        lost.push_back({n.node, noise(n),
                        text("all 0 in ", report_.b, ", but up to ", short_number(n.a.reach()), " in ", report_.a)});
      }
    }
    add("a tensor that quantisation made zero", std::move(lost),
        "calibrate again and see describe() for the scale; run_in_float shows whether the layer is at fault");
    add("a dead tensor", std::move(silent),
        "retrain or remove what makes it: it says nothing about any of these images");
  }

  void shifted() {
    std::vector<Suspect> suspects;
    for (const NodeComparison& n : report_.nodes) {
      const Difference& d = own(n);
      if (n.input || !is_sick(n) || d.shift < kMost) continue;
      explained_.insert(n.node);
      suspects.push_back({n.node, noise(n) * d.shift,
                          text(percent(d.shift), " of the error is a constant for each channel; ", decibel(n))});
    }
    add("shifted means", std::move(suspects), "correct_bias after the calibration; else QAT from it");
  }

  void coarse() {
    std::vector<Suspect> suspects;
    for (const NodeComparison& n : report_.nodes) {
      if (!is_sick(n) || explained_.count(n.node) != 0 || n.values == 0) continue;
      suspects.push_back({n.node, noise(n),
                          text(decibel(n), ", errors are ", fixed(own(n).mean_error, 2), " units in the mean, ",
                               fixed(own(n).max_error, 1), " at most")});
    }
    add("integers too coarse", std::move(suspects),
        "QAT from the calibration (load_observer_params, then FakeQuantState::qat), lsq below 8 bits; int16 or "
        "run_in_float (PrepareOptions::by_path) for the worst");
  }

  const Comparison& report_;
  const DiagnoseOptions& options_;
  std::map<std::string, const NodeComparison*> nodes_;
  std::map<std::string, std::vector<std::string>> readers_;
  double total_ = 0;
  std::set<std::string> explained_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> diagnose(const Comparison& report, const DiagnoseOptions& options) {
  return Diagnosis(report, options).run();
}

std::string to_string(const std::vector<Finding>& findings) {
  if (findings.empty()) return "no cause of lost accuracy found\n";
  std::string out;
  for (size_t i = 0; i < findings.size(); ++i) {
    const Finding& f = findings[i];
    std::vector<std::string> names(f.nodes.begin(), f.nodes.begin() + std::min(f.nodes.size(), kListed));
    if (f.nodes.size() > kListed) names.push_back(text(f.nodes.size() - kListed, " more"));
    std::string evidence;
    for (const char c : f.evidence) evidence += c == '\n' ? std::string("\n             ") : std::string(1, c);
    out += text(i + 1, ". ", f.cause, ", about ", percent(f.share), " of the noise: ", joined(names),
                "\n   evidence: ", evidence, "\n   remedy:   ", f.remedy, "\n");
  }
  return out;
}

}  // namespace sinter::quant
