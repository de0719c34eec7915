#include "../../../quant/analysis/html.h"

#include "../../../core/file.h"
#include "../../../quant/analysis/report.h"
#include "../../comma_locale.h"
#include "../../data/files.h"
#include "reports.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

// What is wrong with the nesting of a page's elements and the quotes of their attributes; empty when nothing is.
std::string malformed(const std::string& page) {
  std::vector<std::string> open;
  size_t at = page.find('>') + 1;  // after <!DOCTYPE html>
  while ((at = page.find('<', at)) != std::string::npos) {
    size_t end = at;
    bool quoted = false;
    for (; end < page.size() && (quoted || page[end] != '>'); ++end) {
      if (page[end] == '"') quoted = !quoted;
      if (end > at && page[end] == '<') return "a bare < in " + page.substr(at, end - at);
    }
    if (end == page.size()) return "an element without end";
    const bool closing = page[at + 1] == '/', empty = page[end - 1] == '/';
    const size_t from = at + (closing ? 2 : 1);
    const std::string name = page.substr(from, page.find_first_of(" />", from) - from);
    at = end + 1;
    if (closing) {
      if (open.empty() || open.back() != name)
        return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back());
      open.pop_back();
    } else if (!empty && name != "meta") {
      open.push_back(name);
      if (name == "script" || name == "style") at = page.find("</" + name, at);
    }
  }
  return open.empty() ? "" : open.back() + " stays open";
}

int64_t count(const std::string& page, const std::string& part) {
  int64_t found = 0;
  for (size_t at = page.find(part); at != std::string::npos; at = page.find(part, at + 1)) ++found;
  return found;
}

const std::vector<Finding> kFindings{
    {.cause = "saturation <b>", .share = 0.5, .nodes = {"conv, \"1\""}, .evidence = "12 & 3", .remedy = "percentile"}};

}  // namespace

TEST_CASE("a page is well formed and needs nothing else") {
  const Comparison report = test::small_report();
  for (const auto& findings : {std::vector<Finding>{}, kFindings}) {
    const std::string page = to_html(report, findings);
    CHECK(malformed(page) == "");
    for (const char* link : {"http:", "https:", "src=", "@import", "url("}) CHECK(count(page, link) == 0);
    CHECK(count(page, "<h2>Likely causes</h2>") == (findings.empty() ? 0 : 1));
  }
  CHECK(malformed("<!DOCTYPE html><p><b></p></b>") == "</p> closes b");
  CHECK(malformed("<!DOCTYPE html><p title=\"a>b\">") == "p stays open");
}

TEST_CASE("a page shows every node, escaped") {
  const std::string page = to_html(test::small_report(), kFindings);
  CHECK(count(page, "<title>int8 &lt;&quot;new&quot;&gt; against float &amp; old</title>") == 1);
  CHECK(count(page, "saturation &lt;b&gt;") == 1);
  CHECK(count(page, "12 &amp; 3") == 1);
  CHECK(count(page, "conv, \"1\"") == 0);
  CHECK(count(page, "<td class=\"left\" data-sort=\"conv, &quot;1&quot;\">conv, &quot;1&quot;</td>") == 2);
  CHECK(count(page, "<tr id=\"node") == 3);
  CHECK(count(page, "class=\"histogram\"") == 3);
  CHECK(count(page, "<circle class=\"b\"") == 3);
  CHECK(count(page, "<circle class=\"alone\"") == 2);  // the head cannot run alone
  CHECK(count(page, "Only in float &amp; old: bn") == 1);
  CHECK(count(page, "prefers-color-scheme: dark") == 1);
  // Sorted by numbers, not by their text.
  CHECK(count(page, "data-sort=\"1e999\">inf<") == 2);
  CHECK(count(page, "data-sort=\"0.125\">12.5 %<") == 1);
  // All heights of the histogram: 1 and 499 of 500 values.
  CHECK(count(page, "d=\"M0 100L0 89H1L1 2H2L2 2H3L3 89H4V100Z\"") == 3);
}

TEST_CASE("pages and tables have points in their numbers, whatever the locale") {
  const Comparison report = test::small_report();
  const std::string page = to_html(report, kFindings), csv = to_csv(report), table = to_string(report);
  const test::CommaLocale german;
  if (!german.complete()) MESSAGE("there is no locale with a decimal comma here for C's functions");
  CHECK(to_html(report, kFindings) == page);
  CHECK(to_csv(report) == csv);
  CHECK(to_string(report) == table);
}

TEST_CASE("a page is written whole or not at all") {
  const test::TemporaryDirectory directory;
  const Comparison report = test::small_report();
  write_html(report, directory / "page.html", kFindings);
  const auto bytes = read_file(directory / "page.html");
  CHECK(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) == to_html(report, kFindings));
  CHECK_ERROR(write_html(report, directory / "missing/page.html"), "missing/page.html: cannot be written");
}

TEST_CASE("a comparison of nothing is a page, too") { CHECK(malformed(to_html({.a = "a", .b = "b"})) == ""); }
