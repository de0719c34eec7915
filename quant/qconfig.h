#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fake_quant.h"
#include "keywords.h"
#include "observer.h"

namespace sinter::quant {

/// How one kind of tensor is quantised: its fake-quant method, its observer, their keywords and its integers.
struct TensorConfig {
  std::string fake_quant = "fake_quant";
  std::string observer = "min_max";
  Keywords keywords;
  double averaging_constant = 0.01;  ///< from the keywords, or the fake-quant's or observer's default
  bool warm_up = true;               ///< keyword `warm_up`: the first batches weigh alike (observer.h)
  int bits = 8;                      ///< 16, 8, 4 or 2: keyword `dtype`, "int16" to "int2"
  bool operator==(const TensorConfig&) const = default;

  /// A new observer, or fake-quant, with these settings; the observer for scales of the march's.
  ObserverValue make_observer(const Arithmetic& march = {}, bool negative = true, bool of_weights = false) const;
  std::shared_ptr<const FakeQuantize> make_fake_quant() const;
};
std::string to_string(const TensorConfig& config);
/// Why nothing can be quantised so, where the fields were set by hand; empty: it can.
std::string invalid_reason(const TensorConfig& config, bool of_weights);
/// Whether two have the same observer with the same settings, whatever averages its ranges.
bool same_observer(const TensorConfig& a, const TensorConfig& b);

/// How activations and weights are quantised.
struct QConfig {
  std::optional<TensorConfig> activation;  ///< none: high-precision output
  TensorConfig weight;
  bool run_in_float = false;  ///< see the function: the operation itself stays float
  bool operator==(const QConfig&) const = default;
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

/// A qconfig from names, as in Horizon Plugin PyTorch. Keywords are those of the observer and of the fake-quant,
/// `averaging_constant`, `warm_up` and `dtype` ("int8"; activations also "int16", both also "int4" and "int2").
/// Throws Error for an unknown name or keyword, listing the known ones, and for a value of the wrong type.
QConfig get_default_qconfig(const QConfigOptions& options = {});

/// A qconfig for operations that stay float, between a dequantise and a quantise; what they make is quantised, where it
/// is read so, as `qconfig` says. VALIDATION and simulator still agree in every integer, but these may differ from the
/// operation on where another instruction set rounds its floating point otherwise: only programs that are integer
/// throughout are the same on all of them.
QConfig run_in_float(QConfig qconfig = get_default_qconfig());

}  // namespace sinter::quant
