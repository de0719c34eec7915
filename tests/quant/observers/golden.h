#pragma once

#include "../../../quant/quantizer.h"
#include "../../support.h"

namespace sinter::test {

/// A quantiser of activations named `x`.
inline quant::ActivationQuantizer activation_quantizer(const std::string& observer,
                                                       const quant::Keywords& keywords = {}) {
  return {"x",
          *quant::get_default_qconfig({.activation_observer = observer, .activation_qkwargs = keywords}).activation};
}

/// The golden cases whose names start with the observer's: the running range after each batch.
inline void check_golden_ranges(const std::string& observer, int expected_cases) {
  int cases = 0;
  for (const GoldenCase& c : golden("observer")) {
    if (c.name.rfind(observer + ",", 0) != 0) continue;
    CAPTURE(c.name);
    ++cases;
    std::map<std::string, quant::Keywords::Value> settings;
    for (const Field& field : c.attributes) {
      if (const auto* flag = std::get_if<bool>(&field.value)) settings[field.name] = *flag;
      if (const auto* integer = std::get_if<int64_t>(&field.value)) settings[field.name] = *integer;
      if (const auto* real = std::get_if<double>(&field.value)) settings[field.name] = *real;
      if (const auto* name = std::get_if<std::string>(&field.value)) settings[field.name] = *name;
    }
    const quant::ActivationQuantizer quantizer = activation_quantizer(observer, quant::Keywords(settings));
    const Tensor& ranges = c.output("ranges");
    for (int64_t i = 0; i < ranges.size(0); ++i) {
      quantizer.observe(quant::Samples(c.input(text("batch", i))));
      const quant::Range range = quantizer.range();
      CHECK_CLOSE(Tensor::from({2}, {range.min, range.max}), Tensor::from({2}, {ranges.at({i, 0}), ranges.at({i, 1})}),
                  2e-6, 0);
    }
  }
  CHECK(cases == expected_cases);
}

}  // namespace sinter::test
