#include "keywords.h"

#include "registry.h"

namespace sinter::quant {

std::string to_string(const Keywords::Value& value) {
  return std::visit([](const auto& v) { return text(v); }, value);
}

std::string to_string(const Keywords& keywords) {
  std::string out = "{";
  for (const auto& [name, value] : keywords.values())
    out += text(out.size() > 1 ? ", " : "", name, "=", to_string(value));
  return out + "}";
}

namespace detail {

namespace {
template <class T>
void assign_exactly(const std::string& where, const Keywords::Value& value, T& setting, const char* type) {
  const T* given = std::get_if<T>(&value);
  check(given != nullptr, where, " is ", to_string(value), ", expected ", type);
  setting = *given;
}
}  // namespace

void assign(const std::string& where, const Keywords::Value& value, bool& setting) {
  assign_exactly(where, value, setting, "true or false");
}
void assign(const std::string& where, const Keywords::Value& value, int64_t& setting) {
  assign_exactly(where, value, setting, "an integer");
}
void assign(const std::string& where, const Keywords::Value& value, double& setting) {
  if (const auto* integer = std::get_if<int64_t>(&value))
    setting = static_cast<double>(*integer);
  else
    assign_exactly(where, value, setting, "a number");
}
void assign(const std::string& where, const Keywords::Value& value, std::string& setting) {
  assign_exactly(where, value, setting, "a text");
}

}  // namespace detail
}  // namespace sinter::quant
