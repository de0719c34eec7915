#include "html_page.h"

namespace sinter {

std::string html_escaped(std::string_view raw) {
  std::string out;
  for (const char c : raw) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  return out;
}

}  // namespace sinter
