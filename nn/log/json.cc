#include "json.h"

#include <cmath>

#include "../../core/error.h"
#include "utf8.h"

namespace sinter::nn {

std::string json_escaped(std::string_view text) {
  std::string out;
  for (const char c : valid_utf8(text)) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr const char* kHex = "0123456789abcdef";
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else {
      out += c;
    }
  }
  return out;
}

std::string json_number(double value) { return std::isfinite(value) ? text(value) : "null"; }

}  // namespace sinter::nn
