#include "json_lines.h"

#include <cstdlib>
#include <string_view>

#include "../../core/error.h"
#include "json.h"

namespace sinter::nn {

namespace {

const std::string kStart = "{\"step\":";

std::string named(const std::string& name, const std::string& value) {
  return sinter::text("\"", json_escaped(name), "\":", value);
}

}  // namespace

JsonLines::~JsonLines() {
  try {
    RowLog::flush();
  } catch (const Error&) {  // nobody is left to hear of it
  }
}

void JsonLines::row(int64_t step, const Numbers& numbers) {
  std::string line = kStart + sinter::text(step);
  for (const auto& [name, value] : numbers) line += sinter::text(",", named(name, json_number(value)));
  line += "}\n";
  file_.append(line);
}

void JsonLines::text(const std::string& name, int64_t step, const std::string& text) {
  RowLog::flush();
  file_.append(
      sinter::text(kStart, step, ",\"text\":{", named(name, sinter::text("\"", json_escaped(text), "\"")), "}}\n"));
}

void JsonLines::table(const std::string& name, int64_t step, const Tensor& table) {
  RowLog::flush();
  const std::vector<double> values = to_doubles(table);
  const auto columns = static_cast<size_t>(table.rank() == 0 ? 1 : table.size(-1));
  std::string rows;
  for (size_t i = 0; i < values.size(); ++i) {
    const bool first = i % columns == 0, last = i % columns == columns - 1;
    if (i > 0) rows += ',';
    if (table.rank() > 1 && first) rows += '[';
    rows += json_number(values[i]);
    if (table.rank() > 1 && last) rows += ']';
  }
  file_.append(sinter::text(kStart, step, ",\"table\":{", named(name, sinter::text("[", rows, "]")), "}}\n"));
}

void JsonLines::flush() {
  RowLog::flush();
  file_.open();
}

void JsonLines::resume(int64_t step) {
  if (!file_.exists()) return;
  const std::string old = file_.content();
  std::string kept;
  size_t at = 0;
  for (size_t end = old.find('\n'); end != std::string::npos; at = end + 1, end = old.find('\n', at)) {
    const std::string line = old.substr(at, end - at);
    check(line.starts_with(kStart), file_.path(), ": is no log of numbers: a line starts with '", line.substr(0, 20),
          "', expected '", kStart, "'");
    if (std::atoll(line.c_str() + kStart.size()) <= step) kept += sinter::text(line, "\n");
  }
  file_.replace(kept);
}

}  // namespace sinter::nn
