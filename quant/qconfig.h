#pragma once

#include <optional>
#include <string>
#include <vector>

#include "keywords.h"
#include "observer.h"

namespace sinter::quant {

/// Names of all fake-quants there are.
std::vector<std::string> fake_quant_names();

/// How one kind of tensor is quantised: its fake-quant method, its observer and their keywords.
struct TensorConfig {
  std::string fake_quant = "fake_quant";
  std::string observer = "min_max";
  Keywords keywords;
  double averaging_constant = 0.01;  ///< from the keywords, or the observer's default
  bool operator==(const TensorConfig&) const = default;

  /// A new observer with these settings.
  ObserverValue make_observer() const;
};
/// Whether two have the same observer with the same settings, whatever averages its ranges.
bool same_observer(const TensorConfig& a, const TensorConfig& b);

/// How activations and weights are quantised.
struct QConfig {
  std::optional<TensorConfig> activation;  ///< none: high-precision output
  TensorConfig weight;
};
std::string to_string(const QConfig& qconfig);

/// A fake-quant's name, or `none`: no fake-quantisation.
class FakeQuantName {
 public:
  FakeQuantName(const char* name) : name_(name) {}
  FakeQuantName(std::string name) : name_(std::move(name)) {}
  FakeQuantName(None) {}
  const std::optional<std::string>& name() const { return name_; }

 private:
  std::optional<std::string> name_;
};

struct QConfigOptions {
  FakeQuantName activation_fake_quant = "fake_quant";
  FakeQuantName weight_fake_quant = "fake_quant";
  std::string activation_observer = "min_max";
  std::string weight_observer = "min_max";
  Keywords activation_qkwargs{};
  Keywords weight_qkwargs{};
};

/// A qconfig from names, as in Horizon Plugin PyTorch. Keywords are those of the observer and `averaging_constant`.
/// Throws Error for an unknown name or keyword, listing the known ones, and for a value of the wrong type.
QConfig get_default_qconfig(const QConfigOptions& options = {});

}  // namespace sinter::quant
