#include "html_report.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <span>

#include "../../core/error.h"
#include "../../core/file.h"
#include "../../core/format.h"
#include "../../core/html_page.h"
#include "../../data/png.h"
#include "../progress.h"
#include "utf8.h"

namespace sinter::nn {

namespace {

constexpr const char* kOwnStyle = R"css(
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(420px, 1fr)); gap: 12px; }
.charts .panel { padding: 8px 12px; }
.charts h3 { font-size: 14px; margin: 0 0 4px; }
.charts svg { width: 100%; height: auto; }
.charts text { fill: var(--soft); font-size: 11px; }
.charts polyline { fill: none; stroke-width: 1.8; }
.charts .grid { stroke: var(--line); }
.legend i { display: inline-block; width: 14px; height: 3px; margin: 0 5px 3px 12px; }
.pictures { display: flex; flex-wrap: wrap; gap: 12px; }
.pictures figure { margin: 0; max-width: 200px; }
.pictures img { width: 140px; image-rendering: pixelated; border: 1px solid var(--line); }
.pictures figcaption { font-size: 12px; color: var(--soft); overflow-wrap: anywhere; }
td.share { background: color-mix(in srgb, var(--alone) var(--share), transparent); }
)css";

constexpr const char* kColours[] = {"#2f6db3", "#c2571a", "#3a8f4d", "#8b55b5", "#b53a5e", "#7a7a2a"};
const std::string kDataBegin = "<script type=\"text/plain\" id=\"numbers\">\n", kDataEnd = "</script>",
                  kKeptEnd = "<!--/-->\n";

std::string base64(std::span<const std::byte> bytes) {
  constexpr const char* kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t three = 0;
    const size_t there = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) three = three << 8 | (k < there ? static_cast<uint32_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) out += k <= there ? kDigits[three >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string escaped(const std::string& raw) { return html_escaped(valid_utf8(raw)); }

// `train/loss` is a curve of the chart `loss`.
std::string chart_of(const std::string& name) {
  const size_t slash = name.find('/');
  return slash == std::string::npos ? name : name.substr(slash + 1);
}

bool is_time(const std::string& name) { return name.starts_with("time/"); }

// A line of the page's data: step, value, name.
std::string one_line(std::string name) {
  name = valid_utf8(name);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '\n' || c == '\t' || c == '\r'; }, ' ');
  return name;
}

std::string unescaped(const std::string& text) {
  const std::pair<const char*, char> all[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&amp;", '&'}};
  std::string out;
  for (size_t i = 0; i < text.size();) {
    bool found = false;
    for (const auto& [from, to] : all) {
      if (text.compare(i, std::string(from).size(), from) != 0) continue;
      out += to;
      i += std::string(from).size();
      found = true;
      break;
    }
    if (!found) out += text[i++];
  }
  return out;
}

struct Line {
  std::string name;
  const std::vector<std::pair<int64_t, double>>* points;
};

std::string chart(const std::string& title, const std::vector<Line>& lines) {
  constexpr double kWidth = 440, kHeight = 190, kLeft = 52, kBottom = 22, kTop = 8, kRight = 8;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  int64_t first = std::numeric_limits<int64_t>::max(), last = 0;
  for (const Line& line : lines)
    for (const auto& [step, value] : *line.points) {
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
      first = std::min(first, step);
      last = std::max(last, step);
    }
  if (low > high) return "";
  if (high == low) {
    high += std::max(1e-9, std::abs(high) * 0.05);
    low -= std::max(1e-9, std::abs(low) * 0.05);
  }
  const auto x = [&](int64_t step) {
    const double share = last == first ? 0.5 : static_cast<double>(step - first) / static_cast<double>(last - first);
    return with_decimals(kLeft + share * (kWidth - kLeft - kRight), 1);
  };
  const auto y = [&](double value) {
    return with_decimals(kTop + (high - value) / (high - low) * (kHeight - kTop - kBottom), 1);
  };
  std::string out = text("<div class=\"panel\"><h3>", escaped(title), "</h3><svg viewBox=\"0 0 ", kWidth, " ", kHeight,
                         "\" role=\"img\"><title>", escaped(title), "</title>\n");
  for (int i = 0; i <= 4; ++i) {
    const double value = low + (high - low) * i / 4;
    out += text("<line class=\"grid\" x1=\"", kLeft, "\" x2=\"", kWidth - kRight, "\" y1=\"", y(value), "\" y2=\"",
                y(value), "\"/><text x=\"", kLeft - 5, "\" y=\"", y(value), "\" dy=\"4\" text-anchor=\"end\">",
                with_digits(value, 3), "</text>\n");
  }
  out += text("<text x=\"", kLeft, "\" y=\"", kHeight - 6, "\">step ", first, "</text><text x=\"", kWidth - kRight,
              "\" y=\"", kHeight - 6, "\" text-anchor=\"end\">", last, "</text>\n");
  std::string legend;
  for (size_t i = 0; i < lines.size(); ++i) {
    const char* colour = kColours[i % std::size(kColours)];
    std::string points;
    const auto draw = [&] {
      if (points.find(' ') == std::string::npos && !points.empty())  // one point alone
        out += text("<circle r=\"2.5\" fill=\"", colour, "\" cx=\"", points.substr(0, points.find(',')), "\" cy=\"",
                    points.substr(points.find(',') + 1), "\"/>\n");
      else if (!points.empty())
        out += text("<polyline stroke=\"", colour, "\" points=\"", points, "\"/>\n");
      points.clear();
    };
    for (const auto& [step, value] : *lines[i].points) {
      if (!std::isfinite(value))
        draw();  // a gap
      else
        points += text(points.empty() ? "" : " ", x(step), ",", y(value));
    }
    draw();
    legend += text("<i style=\"background:", colour, "\"></i>", escaped(lines[i].name));
  }
  return out + "</svg><div class=\"soft legend\">" + legend + "</div></div>\n";
}

}  // namespace

void HtmlReport::scalar(const std::string& name, int64_t step, double value) {
  Curve& curve = curves_[one_line(name)];
  if (!curve.empty() && curve.back().first == step)
    curve.back().second = value;
  else
    curve.emplace_back(step, value);
}

void HtmlReport::image(const std::string& name, int64_t step, const Tensor& image, const std::string& caption) {
  check(image.defined() && image.dtype() == DType::uint8 && image.rank() == 3 && image.elements() > 0 &&
            (image.size(2) == 1 || image.size(2) == 3),
        "log: an image is ", image.spec(), ", expected uint8 [H,W,C] of 1 or 3 channels");
  const auto png = data::encode_png(image.data<uint8_t>(), image.size(0), image.size(1), image.size(2), 8);
  const std::string shown = escaped(caption.empty() ? name : caption);
  images_[name] = {step, sinter::text("<figure><img alt=\"", shown, "\" src=\"data:image/png;base64,", base64(png),
                                      "\"><figcaption>", shown, "</figcaption></figure>\n")};
}

void HtmlReport::text(const std::string& name, int64_t step, const std::string& text) {
  texts_[name] = {
      step, sinter::text("<p class=\"lines\"><b>", escaped(name), "</b> (step ", step, "): ", escaped(text), "</p>\n")};
}

void HtmlReport::table(const std::string& name, int64_t step, const Tensor& table) {
  const std::vector<double> values = to_doubles(table);
  const auto columns = static_cast<size_t>(table.rank() == 0 ? 1 : table.size(-1));
  const auto label = [&](size_t i) {
    return i < options_.classes.size() ? escaped(options_.classes[i]) : sinter::text(i);
  };
  std::string html = "<div class=\"panel\"><table><thead><tr><th></th>";
  for (size_t c = 0; c < columns; ++c) html += "<th>" + label(c) + "</th>";
  html += "</tr></thead><tbody>\n";
  for (size_t row = 0; columns > 0 && row < values.size() / columns; ++row) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row * columns);
    const double most = *std::max_element(begin, begin + static_cast<std::ptrdiff_t>(columns));
    html += "<tr><td class=\"left\">" + (table.rank() > 1 ? label(row) : std::string()) + "</td>";
    for (size_t c = 0; c < columns; ++c) {
      const double value = values[row * columns + c];
      const double share = most > 0 && value > 0 ? 100 * value / most : 0;
      html += sinter::text("<td class=\"share\" style=\"--share:", with_decimals(table.rank() > 1 ? share : 0, 0),
                           "%\">", with_digits(value, 6), "</td>");
    }
    html += "</tr>\n";
  }
  tables_[name] = {
      step, sinter::text("<h2>", escaped(name), "</h2>",
                         table.rank() > 1 ? "<p class=\"soft\">Rows are labels, columns predictions.</p>" : "", html,
                         "</tbody></table></div>\n")};
}

std::string HtmlReport::charts() const {
  std::map<std::string, std::vector<Line>> by_title;
  for (const auto& [name, curve] : curves_)
    if (!is_time(name)) by_title[chart_of(name)].push_back({name, &curve});
  std::string out = "<h2>Curves</h2><div class=\"charts\">\n";
  for (const auto& [title, lines] : by_title) out += chart(title, lines);
  return out + "</div>\n";
}

std::string HtmlReport::numbers() const {
  std::string out =
      "<h2>Numbers</h2><div class=\"panel\"><table><thead><tr><th "
      "class=\"left\">name</th><th>last</th><th>smallest</th>"
      "<th>largest</th></tr></thead><tbody>\n";
  for (const auto& [name, curve] : curves_) {
    if (is_time(name)) continue;
    double low = std::numeric_limits<double>::quiet_NaN(), high = low;
    for (const auto& point : curve) {
      low = std::fmin(low, point.second);
      high = std::fmax(high, point.second);
    }
    out += sinter::text("<tr><td class=\"left\">", escaped(name), "</td><td>", with_digits(curve.back().second, 5),
                        "</td><td>", with_digits(low, 5), "</td><td>", with_digits(high, 5), "</td></tr>\n");
  }
  return out + "</tbody></table></div>\n";
}

std::string HtmlReport::times() const {
  std::vector<std::pair<std::string, double>> phases;
  double all = 0;
  for (const auto& [name, curve] : curves_) {
    if (!is_time(name)) continue;
    double sum = 0;
    for (const auto& point : curve)
      if (std::isfinite(point.second)) sum += point.second;
    phases.emplace_back(chart_of(name), sum);
    all += sum;
  }
  if (phases.empty() || all <= 0) return "";
  std::stable_sort(phases.begin(), phases.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string out =
      "<h2>Time by phase</h2><div class=\"panel\"><table><thead><tr><th class=\"left\">phase</th><th>time</th>"
      "<th>share</th></tr></thead><tbody>\n";
  for (const auto& [name, seconds] : phases)
    out += sinter::text("<tr><td class=\"left\">", escaped(name), "</td><td>", to_time(seconds), "</td><td>",
                        with_decimals(100 * seconds / all, 1),
                        " %<span class=\"bar\"><i style=\"width:", with_decimals(100 * seconds / all, 1),
                        "%\"></i></span></td></tr>\n");
  return out + "</tbody></table></div>\n";
}

// Between comments that say what it is, so that a resumed run finds it.
std::string HtmlReport::kept(const char* kind, const std::string& name, const Shown& shown) {
  return sinter::text("<!--", kind, "\t", shown.step, "\t", escaped(name), "-->", shown.html, kKeptEnd);
}

std::string HtmlReport::page() const {
  std::string out = sinter::text("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>",
                                 escaped(options_.title), "</title><style>", kStyle, kOwnStyle,
                                 "</style></head><body>\n<h1>", escaped(options_.title), "</h1>\n");
  for (const auto& [name, shown] : texts_) out += kept("text", name, shown);
  out += charts() + numbers();
  for (const auto& [name, shown] : tables_) out += kept("table", name, shown);
  if (!images_.empty()) {
    out += "<h2>Pictures</h2><div class=\"pictures\">\n";
    // picture_2 comes before picture_10.
    std::vector<std::pair<std::string, const Shown*>> ordered;
    for (const auto& [name, shown] : images_) ordered.emplace_back(name, &shown);
    std::stable_sort(ordered.begin(), ordered.end(),
                     [](const auto& a, const auto& b) { return a.first.size() < b.first.size(); });
    for (const auto& [name, shown] : ordered) out += kept("image", name, *shown);
    out += "</div>\n";
  }
  out += times() + kDataBegin;
  for (const auto& [name, curve] : curves_)
    for (const auto& [step, value] : curve)
      out += sinter::text(step, "\t", std::isnan(value) ? std::string("nan") : sinter::text(value), "\t", escaped(name),
                          "\n");
  return out + kDataEnd + "\n</body></html>\n";
}

void HtmlReport::flush() {
  const std::string all = page();
  write_file(path_, std::as_bytes(std::span(all.data(), all.size())));
}

void HtmlReport::resume(int64_t step) {
  if (!std::filesystem::exists(path_)) return;
  const auto bytes = read_file(path_);
  const std::string old(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const size_t begin = old.rfind(kDataBegin);
  check(begin != std::string::npos, path_, ": is no report of a run: it holds no numbers to go on from");
  for (auto& [kind, all] : {std::pair("text", &texts_), std::pair("table", &tables_), std::pair("image", &images_)}) {
    all->clear();
    const std::string start = sinter::text("<!--", kind, "\t");
    for (size_t at = old.find(start); at < begin; at = old.find(start, at + 1)) {
      const size_t step_at = at + start.size(), name_at = old.find('\t', step_at) + 1, html = old.find("-->", name_at),
                   last = old.find(kKeptEnd, html);
      check(last < begin, path_, ": is damaged: what is between its comments has no end");
      const int64_t there = std::atoll(old.c_str() + step_at);
      if (there <= step)
        (*all)[unescaped(old.substr(name_at, html - name_at))] = {there, old.substr(html + 3, last - html - 3)};
    }
  }
  curves_.clear();
  const size_t end = old.find(kDataEnd, begin + kDataBegin.size());
  for (size_t at = begin + kDataBegin.size(); at < std::min(end, old.size());) {
    const size_t line_end = std::min(old.find('\n', at), old.size());
    const std::string line = old.substr(at, line_end - at);
    at = line_end + 1;
    const size_t first = line.find('\t'), second = line.find('\t', first + 1);
    check(first != std::string::npos && second != std::string::npos, path_, ": is damaged: a line of its numbers is '",
          line, "'");
    const int64_t there = std::atoll(line.c_str());
    // Independent of the locale's point, as the numbers were written.
    double value = std::numeric_limits<double>::quiet_NaN();
    std::from_chars(line.data() + first + 1, line.data() + second, value);
    if (there <= step) curves_[unescaped(line.substr(second + 1))].emplace_back(there, value);
  }
}

}  // namespace sinter::nn
