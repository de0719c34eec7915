#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <variant>

namespace sinter::quant {

/// No keywords.
struct None {};
inline constexpr None none{};

/// Typed keyword arguments of observers and fake-quants: `{{"percentile", 99.9}, {"bins", 4096}}`.
class Keywords {
 public:
  using Value = std::variant<bool, int64_t, double, std::string>;

  Keywords() = default;
  Keywords(None) {}
  Keywords(std::initializer_list<std::pair<const std::string, Value>> values) : values_(values) {}
  explicit Keywords(std::map<std::string, Value> values) : values_(std::move(values)) {}

  const std::map<std::string, Value>& values() const { return values_; }
  bool operator==(const Keywords&) const = default;

 private:
  std::map<std::string, Value> values_;
};

std::string to_string(const Keywords::Value& value);
/// `{bins=4096, percentile=99.9}`
std::string to_string(const Keywords& keywords);

}  // namespace sinter::quant
