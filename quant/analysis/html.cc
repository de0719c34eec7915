#include "html.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <span>

#include "../../core/file.h"
#include "../../core/format.h"
#include "../../core/html_page.h"
#include "format.h"

namespace sinter::quant {

namespace {

constexpr double kTop = 60;  // dB: beyond, nothing is worth seeing
constexpr double kRed = 10, kGreen = 40;

// What the script sorts by: JavaScript reads 1e999 as infinity.
std::string sort_key(double value) { return std::isinf(value) ? (value > 0 ? "1e999" : "-1e999") : text(value); }

// A head of a column, with what it means.
struct Column {
  const char* name;
  const char* meaning;
  bool left = false;
};

std::string heads(std::span<const Column> columns) {
  std::string out = "<thead><tr>";
  for (const Column& column : columns)
    out += text("<th", column.left ? " class=\"left\"" : "", " title=\"", html_escaped(column.meaning), "\"><button>",
                column.name, "</button></th>");
  return out + "</tr></thead>\n";
}

std::string cell(double key, const std::string& shown) {
  return text("<td data-sort=\"", sort_key(key), "\">", shown, "</td>");
}

std::string name_cell(const std::string& name) {
  return text("<td class=\"left\" data-sort=\"", html_escaped(name), "\">", html_escaped(name), "</td>");
}

// Nothing to show: sorted below everything.
std::string no_cell() { return "<td data-sort=\"-1e999\">–</td>"; }

// Red to green.
std::string level_cell(double sqnr) {
  const double hue = 120 * std::clamp((sqnr - kRed) / (kGreen - kRed), 0.0, 1.0);
  return text("<td class=\"level\" style=\"--hue:", std::lround(hue), "\" data-sort=\"", sort_key(sqnr), "\">",
              fixed(sqnr, 1), "</td>");
}

// Counts on a logarithmic scale, as a line in steps; `area` closes it along the bottom.
std::string steps(const std::vector<int64_t>& counts, int64_t most, bool area) {
  std::string path = area ? "M0 100" : "";
  for (size_t i = 0; i < counts.size(); ++i) {
    const double height = std::log1p(static_cast<double>(counts[i])) / std::log1p(static_cast<double>(most));
    path += text(path.empty() ? "M" : "L", i, " ", 100 - std::lround(98 * height), "H", i + 1);
  }
  return path + (area ? "V100Z" : "");
}

std::string histogram(const Histogram& h) {
  int64_t most = 1;
  for (const auto* counts : {&h.a, &h.b, &h.alone})
    for (const int64_t count : *counts) most = std::max(most, count);
  const auto path = [&](const char* name, const std::vector<int64_t>& counts, bool area) {
    return text("<path class=\"", name, "\" d=\"", steps(counts, most, area), "\"/>");
  };
  return text("<svg class=\"histogram\" viewBox=\"0 0 ", h.a.size(),
              " 100\" preserveAspectRatio=\"none\" role=\"img\">", "<title>", short_number(h.low), " .. ",
              short_number(h.low + h.width * static_cast<double>(h.a.size())), ", ", h.a.size(), " bins of ",
              short_number(h.width), ", counts on a logarithmic scale</title>", path("a", h.a, true),
              path("b", h.b, false), path("alone", h.alone, false), "</svg>");
}

std::string card(const std::string& value, const std::string& meaning) {
  return text("<div class=\"card\"><b>", value, "</b><span class=\"soft\">", meaning, "</span></div>\n");
}

std::string cards(const Comparison& report) {
  const NodeComparison *worst = nullptr, *output = nullptr;
  for (const NodeComparison& n : report.nodes) {
    if (n.local && (worst == nullptr || n.local->sqnr < worst->local->sqnr)) worst = &n;
    if (n.output) output = &n;
  }
  const WeightComparison* weights = nullptr;
  for (const WeightComparison& w : report.weights)
    if (weights == nullptr || w.sqnr < weights->sqnr) weights = &w;
  std::string out = "<div class=\"cards\">\n";
  if (output != nullptr)
    out += card(fixed(output->accumulated.sqnr, 1) + " dB", "SQNR of the output " + html_escaped(output->node)) +
           card(fixed(output->accumulated.cosine, 5), "its cosine similarity");
  if (worst != nullptr) out += card(fixed(worst->local->sqnr, 1) + " dB", "worst alone: " + html_escaped(worst->node));
  if (weights != nullptr) out += card(fixed(weights->sqnr, 1) + " dB", "worst weights: " + html_escaped(weights->node));
  for (const auto& [name, value] : report.metrics_a)
    out += card(text(with_digits(value, 4), " / ", with_digits(report.metrics_b.at(name), 4)),
                html_escaped(text(name, ", ", report.a, " and ", report.b)));
  out += card(text(report.images), "images");
  return out + "</div>\n";
}

std::string section(const std::vector<Finding>& findings) {
  if (findings.empty()) return "";
  std::string out = "<h2>Likely causes</h2>\n";
  for (const Finding& f : findings)
    out +=
        text("<div class=\"finding\"><h3>", html_escaped(f.cause), " <span class=\"soft\">· about ", percent(f.share),
             " of the noise</span></h3><p>", html_escaped(joined(f.nodes)), "</p><p class=\"soft lines\">",
             html_escaped(f.evidence), "</p><p>→ ", html_escaped(f.remedy), "</p></div>\n");
  return out;
}

// SQNR along the graph.
std::string chart(const Comparison& report) {
  constexpr double kWidth = 1200, kHeight = 280, kLeft = 44, kRight = 12, kUpper = 14, kLower = 16;
  const auto count = static_cast<double>(report.nodes.size());
  const auto x = [&](size_t i) {
    return fixed(kLeft + (kWidth - kLeft - kRight) * (static_cast<double>(i) + 0.5) / count, 1);
  };
  const auto y = [&](double sqnr) {
    return fixed(kUpper + (kHeight - kUpper - kLower) * (1 - std::clamp(sqnr, 0.0, kTop) / kTop), 1);
  };
  std::string out = text("<svg class=\"chart\" viewBox=\"0 0 ", kWidth, " ", kHeight, "\" role=\"img\"><title>",
                         "SQNR of every activation, in the order of the graph</title>\n");
  const auto level = [&](const char* name, double sqnr) {
    out += text("<line class=\"", name, "\" x1=\"", kLeft, "\" x2=\"", kWidth - kRight, "\" y1=\"", y(sqnr), "\" y2=\"",
                y(sqnr), "\"/>\n");
  };
  for (const double sqnr : {0.0, 20.0, 40.0, 60.0}) {
    level("grid", sqnr);
    out += text("<text x=\"", kLeft - 8, "\" y=\"", y(sqnr), "\" dy=\"4\" text-anchor=\"end\">", sqnr, "</text>\n");
  }
  level("healthy", kHealthySqnr);
  const auto line = [&](const char* name, const char* what, const auto& sqnr_of) {
    std::string points, circles;
    for (size_t i = 0; i < report.nodes.size(); ++i) {
      const Difference* d = sqnr_of(report.nodes[i]);
      if (d == nullptr) continue;
      points += text(points.empty() ? "" : " ", x(i), ",", y(d->sqnr));
      circles += text("<a href=\"#node", i, "\"><circle class=\"", name, "\" r=\"4\" cx=\"", x(i), "\" cy=\"",
                      y(d->sqnr), "\"><title>", html_escaped(report.nodes[i].node), ": ", fixed(d->sqnr, 1), " dB ",
                      what, "</title></circle></a>\n");
    }
    out += text("<polyline class=\"", name, "\" points=\"", points, "\"/>\n", circles);
  };
  line("alone", "alone", [](const NodeComparison& n) { return n.local ? &*n.local : nullptr; });
  line("b", "with inherited error", [](const NodeComparison& n) { return &n.accumulated; });
  return out + "</svg></div>\n";
}

constexpr Column kActivations[] = {
    {"#", "place in the order of the graph"},
    {"activation", "name of the node, or of the network's input", true},
    {"scale", "of the integers; int32: accumulators of a high-precision output"},
    {"SQNR", "signal to noise in dB, with the error that the inputs bring along"},
    {"alone", "SQNR in dB of the node alone, on identical inputs"},
    {"own noise", "the node's own share of the noise; the rest is inherited"},
    {"cosine", "cosine similarity"},
    {"max error", "largest error in units of the scale"},
    {"mean error", "mean absolute error in units of the scale"},
    {"saturated", "share of the integers at a bound that is not the activation's own"},
    {"levels", "share of the integers that occurred"},
    {"channels", "the widest channel's largest value over that of the median channel"},
    {"histogram", "of both stages, on a logarithmic scale; a click enlarges it", true},
};

std::string activations(const Comparison& report) {
  std::string out = "<table>\n" + heads(kActivations) + "<tbody>\n";
  for (size_t i = 0; i < report.nodes.size(); ++i) {
    const NodeComparison& n = report.nodes[i];
    const Difference& d = n.accumulated;
    const bool integers = n.scale > 0;
    out += text("<tr id=\"node", i, "\">", cell(static_cast<double>(i), text(i + 1)), name_cell(n.node));
    out += cell(static_cast<double>(n.scale), integers         ? short_number(static_cast<double>(n.scale))
                                              : n.accumulators ? "int32"
                                                               : "float");
    out += level_cell(d.sqnr) + (n.local ? level_cell(n.local->sqnr) : no_cell());
    out += n.local ? cell(n.local_share(), text(percent(n.local_share()), "<span class=\"bar\"><i style=\"width:",
                                                std::lround(100 * n.local_share()), "%\"></i></span>"))
                   : no_cell();
    out += cell(d.cosine, fixed(d.cosine, 5)) + cell(d.max_error, fixed(d.max_error, 1)) +
           cell(d.mean_error, fixed(d.mean_error, 2));
    out += integers ? cell(d.saturated, percent(d.saturated)) + cell(d.used_levels, percent(d.used_levels))
                    : no_cell() + no_cell();
    out += cell(n.a.channel_ratio, fixed(n.a.channel_ratio, 1));
    out +=
        text("<td class=\"left\" data-sort=\"", sort_key(n.a.reach()), "\">", histogram(n.histogram), "</td></tr>\n");
  }
  return out + "</tbody></table></div>\n";
}

constexpr Column kWeights[] = {
    {"#", "place in the order of the graph"},
    {"weights", "name of the node", true},
    {"SQNR", "signal to noise in dB"},
    {"cosine", "cosine similarity"},
    {"smallest scale", "of an output channel"},
    {"largest scale", "of an output channel"},
    {"output channels", "the largest weight of the widest over that of the median one"},
    {"input channels", "the largest weight of the widest over that of the median one"},
    {"dead", "output channels whose weights are all zero"},
    {"large biases", "output channels whose bias is near 2^30 on the accumulator's grid"},
};

std::string weights(const Comparison& report) {
  if (report.weights.empty()) return "";
  std::string out = "<h2>Weights</h2>\n<div class=\"panel\"><table>\n" + heads(kWeights) + "<tbody>\n";
  for (size_t i = 0; i < report.weights.size(); ++i) {
    const WeightComparison& w = report.weights[i];
    out += text("<tr>", cell(static_cast<double>(i), text(i + 1)), name_cell(w.node), level_cell(w.sqnr),
                cell(w.cosine, fixed(w.cosine, 5)));
    for (const float scale : {w.scale_min, w.scale_max})
      out += scale > 0 ? cell(static_cast<double>(scale), short_number(static_cast<double>(scale))) : no_cell();
    out += cell(w.output_ratio, fixed(w.output_ratio, 1)) + cell(w.input_ratio, fixed(w.input_ratio, 1)) +
           cell(static_cast<double>(w.dead_channels), text(w.dead_channels)) +
           cell(static_cast<double>(w.bias_limited), text(w.bias_limited)) + "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string only(const std::string& stage, const std::vector<std::string>& nodes) {
  return nodes.empty() ? "" : text("<p>Only in ", html_escaped(stage), ": ", html_escaped(joined(nodes)), "</p>\n");
}

}  // namespace

std::string to_html(const Comparison& report, const std::vector<Finding>& findings) {
  const std::string a = html_escaped(report.a), b = html_escaped(report.b), title = text(b, " against ", a);
  const std::string key_a = text("<span class=\"key a\"></span>", a);
  const std::string keys = text("<span class=\"key b\"></span>", b, "<span class=\"key alone\"></span>", b,
                                " alone, on the inputs of ", a, "</p>\n<div class=\"panel\">");
  return text("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
              "<meta name=\"viewport\" content=\"width=device-width\">\n<title>", title, "</title>\n<style>", kStyle,
              "</style>\n</head>\n<body>\n<h1>", title, "</h1>\n", cards(report), section(findings),
              "<h2>Noise along the graph</h2>\n<p class=\"soft\">SQNR in dB of every activation, in the order of the "
              "graph; a healthy int8 layer alone stays above the dashed line, at ",
              kHealthySqnr, " dB.</p>\n", "<p class=\"soft\">", keys, chart(report),
              "<h2>Activations</h2>\n<p class=\"soft\">", key_a, keys, activations(report), weights(report),
              only(report.a, report.only_a), only(report.b, report.only_b), "<script>", kScript,
              "</script>\n</body>\n</html>\n");
}

void write_html(const Comparison& report, const std::string& path, const std::vector<Finding>& findings) {
  const std::string page = to_html(report, findings);
  write_file(path, std::as_bytes(std::span(page)));
}

}  // namespace sinter::quant
