#include "csv_log.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "../../core/error.h"

namespace sinter::nn {

namespace {

// A line of the file is a row.
std::string one_line(std::string name) {
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return name;
}

std::string cell(const std::string& name) {
  if (name.find_first_of(",\"") == std::string::npos) return name;
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? "\"\"" : sinter::text(c);
  return quoted + '"';
}

std::vector<std::string> cells(std::string_view line) {
  std::vector<std::string> all(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') {
      if (quoted && i + 1 < line.size() && line[i + 1] == '"')
        all.back() += line[i++];
      else
        quoted = !quoted;
    } else if (line[i] == ',' && !quoted) {
      all.emplace_back();
    } else {
      all.back() += line[i];
    }
  }
  return all;
}

}  // namespace

CsvLog::~CsvLog() {
  try {
    RowLog::flush();
  } catch (const Error&) {  // nobody is left to hear of it
  }
}

std::string CsvLog::header() const {
  std::string line = "step";
  for (const std::string& column : columns_) line += sinter::text(",", cell(column));
  line += '\n';
  return line;
}

void CsvLog::row(int64_t step, const Numbers& given) {
  Numbers numbers = given;
  for (auto& number : numbers) number.first = one_line(number.first);
  const size_t before = columns_.size();
  for (const auto& number : numbers)
    if (std::find(columns_.begin(), columns_.end(), number.first) == columns_.end()) columns_.push_back(number.first);
  if (before == 0) {
    file_.append(header());
  } else if (columns_.size() > before) {
    const std::string old = file_.content(), added(columns_.size() - before, ',');
    std::string all = header();
    for (size_t at = old.find('\n') + 1; at < old.size();) {
      const size_t end = old.find('\n', at);
      all += sinter::text(old.substr(at, end - at), added, "\n");
      at = end + 1;
    }
    file_.replace(all);
  }
  std::string line = sinter::text(step);
  for (const std::string& column : columns_) {
    line += ',';
    for (const auto& number : numbers)
      if (number.first == column) line += sinter::text(number.second);
  }
  line += '\n';
  file_.append(line);
}

void CsvLog::flush() {
  RowLog::flush();
  file_.open();
}

void CsvLog::resume(int64_t step) {
  if (!file_.exists()) return;
  const std::string old = file_.content();
  std::string kept;
  size_t at = 0;
  for (size_t end = old.find('\n'); end != std::string::npos; at = end + 1, end = old.find('\n', at)) {
    const std::string line = old.substr(at, end - at);
    if (at == 0) {
      columns_ = cells(line);
      check(columns_[0] == "step", file_.path(), ": is no log of numbers: its first column is '", columns_[0],
            "', expected 'step'");
      columns_.erase(columns_.begin());
    } else if (std::atoll(line.c_str()) > step) {
      continue;
    }
    kept += sinter::text(line, "\n");
  }
  file_.replace(kept);
}

}  // namespace sinter::nn
