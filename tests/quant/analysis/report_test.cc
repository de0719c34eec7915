#include "../../../quant/analysis/report.h"

#include <cmath>
#include <limits>
#include <map>

#include "../../../core/file.h"
#include "../../data/files.h"
#include "reports.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

// RFC 4180.
std::vector<std::vector<std::string>> parsed(const std::string& csv) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row{""};
  bool quoted = false;
  for (size_t i = 0; i < csv.size(); ++i) {
    const char c = csv[i];
    if (quoted && c == '"' && i + 1 < csv.size() && csv[i + 1] == '"')
      row.back() += csv[i++];
    else if (c == '"')
      quoted = !quoted;
    else if (!quoted && c == ',')
      row.push_back("");
    else if (!quoted && c == '\n') {
      rows.push_back(row);
      row = {""};
    } else {
      row.back() += c;
    }
  }
  CHECK_FALSE(quoted);
  CHECK(row == std::vector<std::string>{""});
  return rows;
}

}  // namespace

TEST_CASE("a comparison as text") {
  CHECK(to_string(test::small_report()) ==
        R"(int8 <"new"> against float & old, 256 images, in the order of the graph
activation  scale  SQNR dB  alone dB  own noise    cosine  max error  mean error  saturated  levels  channels
input        0.25     30.0      30.0    100.0 %  0.999000        0.5        0.25      1.0 %  50.0 %       1.5
conv, "1"    0.25     20.0      30.0     10.0 %  0.990000       12.3        0.25     12.5 %  75.0 %      20.0
head        int32      inf         -          -  1.000000        0.0        0.00          -       -       1.0

weights              scales  SQNR dB    cosine  output channels  input channels  dead  large biases
conv, "1"  0.000123..0.0312     30.0  0.998000             12.5             3.0     1             2
head                  float      inf  1.000000              1.0             1.0     0             0
only in float & old: bn
only in int8 <"new">: x, y
)");
}

TEST_CASE("a comparison as CSV has a row for everything, and its numbers") {
  const Comparison report = test::small_report();
  const test::TemporaryDirectory directory;
  const std::string path = directory / "report.csv";
  write_csv(report, path);
  const auto bytes = read_file(path);
  const std::string csv(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  CHECK(csv == to_csv(report));

  const auto rows = parsed(csv);
  REQUIRE(rows.size() == 1 + 3 + 2 + 1 + 2);
  std::vector<std::map<std::string, std::string>> fields;
  for (const auto& row : rows) {
    REQUIRE(row.size() == rows[0].size());
    auto& named = fields.emplace_back();
    for (size_t i = 0; i < row.size(); ++i) named[rows[0][i]] = row[i];
  }
  CHECK(fields[0].size() == rows[0].size());  // no name twice
  auto &input = fields[1], &conv = fields[2], &head = fields[3], &weight = fields[4];
  CHECK(input.at("kind") == "activation");
  CHECK(conv.at("node") == "conv, \"1\"");
  CHECK(conv.at("scale") == "0.25");
  CHECK(conv.at("low") == "-128");
  CHECK(conv.at("high") == "127");
  CHECK(std::stod(conv.at("sqnr")) == report.nodes[1].accumulated.sqnr);
  CHECK(std::stod(conv.at("max_error")) == report.nodes[1].accumulated.max_error);
  CHECK(std::stod(conv.at("local_sqnr")) == report.nodes[1].local->sqnr);
  CHECK(std::stod(conv.at("local_clipping")) == report.nodes[1].local->clipping);
  CHECK(std::stod(conv.at("a_channel_ratio")) == 20);
  CHECK(std::stod(conv.at("b_rms")) == report.nodes[1].b.rms);
  CHECK(conv.at("output_ratio").empty());
  CHECK(head.at("scale").empty());
  CHECK(std::isinf(std::stod(head.at("sqnr"))));
  CHECK(head.at("local_sqnr").empty());
  CHECK(weight.at("kind") == "weight");
  CHECK(std::stof(weight.at("scale_min")) == report.weights[0].scale_min);
  CHECK(weight.at("output_ratio") == "12.5");
  CHECK(weight.at("large_biases") == "2");
  CHECK(weight.at("max_error").empty());
  CHECK(fields[5].at("scale_min").empty());
  CHECK(fields[6].at("kind") == "only in a");
  CHECK(fields[6].at("node") == "bn");
  CHECK(fields[8].at("kind") == "only in b");
  CHECK(fields[8].at("node") == "y");

  CHECK_ERROR(write_csv(report, directory / "missing/report.csv"), "missing/report.csv: cannot be written");
}
