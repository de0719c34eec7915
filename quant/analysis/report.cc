#include "report.h"

#include <map>
#include <span>
#include <vector>

#include "../../core/file.h"
#include "../../core/format.h"
#include "../../core/table.h"
#include "format.h"

namespace sinter::quant {

namespace {

using Row = std::vector<std::string>;

constexpr const char* kColumns[] = {"kind", "node", "values", "scale", "low", "high", "unit",
                                    // with accumulated inputs, and alone
                                    "cosine", "sqnr", "max_error", "mean_error", "shift", "saturated", "clipping",
                                    "used_levels", "local_cosine", "local_sqnr", "local_max_error", "local_mean_error",
                                    "local_shift", "local_saturated", "local_clipping", "local_used_levels",
                                    // of the values themselves
                                    "a_min", "a_max", "a_mean", "a_rms", "a_channel_ratio", "b_min", "b_max", "b_mean",
                                    "b_rms", "b_channel_ratio", "channels", "dead_channels",
                                    // weights
                                    "output_ratio", "input_ratio", "scale_min", "scale_max", "large_biases"};

// One row by the names of its columns.
using Fields = std::map<std::string, std::string>;

// RFC 4180: quotes around what holds a separator, quotes inside doubled.
std::string csv_field(const std::string& field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string out = "\"";
  for (const char c : field) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string csv_row(const Fields& fields) {
  std::string out;
  for (const char* column : kColumns) {
    if (!out.empty()) out += ',';  // the first column is never empty
    const auto field = fields.find(column);
    if (field != fields.end()) out += csv_field(field->second);
  }
  return out + '\n';
}

void set(Fields& fields, const std::string& prefix, const Difference& d) {
  fields[prefix + "cosine"] = text(d.cosine);
  fields[prefix + "sqnr"] = text(d.sqnr);
  fields[prefix + "max_error"] = text(d.max_error);
  fields[prefix + "mean_error"] = text(d.mean_error);
  fields[prefix + "shift"] = text(d.shift);
  fields[prefix + "saturated"] = text(d.saturated);
  fields[prefix + "clipping"] = text(d.clipping);
  fields[prefix + "used_levels"] = text(d.used_levels);
}

void set(Fields& fields, const std::string& prefix, const Spread& s) {
  fields[prefix + "min"] = text(s.min);
  fields[prefix + "max"] = text(s.max);
  fields[prefix + "mean"] = text(s.mean);
  fields[prefix + "rms"] = text(s.rms);
  fields[prefix + "channel_ratio"] = text(s.channel_ratio);
}

Fields fields_of(const NodeComparison& n) {
  Fields fields{{"kind", "activation"}, {"node", n.node}, {"values", text(n.values)}, {"unit", text(n.unit)}};
  if (n.scale > 0) {
    fields["scale"] = text(n.scale);
    fields["low"] = text(n.bounds.low);
    fields["high"] = text(n.bounds.high);
  }
  set(fields, "", n.accumulated);
  if (n.local) set(fields, "local_", *n.local);
  set(fields, "a_", n.a);
  set(fields, "b_", n.b);
  fields["channels"] = text(n.a.channels);
  fields["dead_channels"] = text(n.a.dead_channels);
  return fields;
}

Fields fields_of(const WeightComparison& w) {
  Fields fields{{"kind", "weight"},
                {"node", w.node},
                {"cosine", text(w.cosine)},
                {"sqnr", text(w.sqnr)},
                {"channels", text(w.output_channels)},
                {"dead_channels", text(w.dead_channels)},
                {"output_ratio", text(w.output_ratio)},
                {"input_ratio", text(w.input_ratio)},
                {"large_biases", text(w.bias_limited)}};
  if (w.scale_max > 0) {
    fields["scale_min"] = text(w.scale_min);
    fields["scale_max"] = text(w.scale_max);
  }
  return fields;
}

std::string activations(const Comparison& report) {
  std::vector<Row> rows{{"activation", "scale", "SQNR dB", "alone dB", "own noise", "cosine", "max error", "mean error",
                         "saturated", "levels", "channels"}};
  for (const NodeComparison& n : report.nodes) {
    const Difference& d = n.accumulated;
    const bool integers = n.scale > 0;
    rows.push_back({n.node,
                    integers         ? short_number(static_cast<double>(n.scale))
                    : n.accumulators ? "int32"
                                     : "float",
                    fixed(d.sqnr, 1), n.local ? fixed(n.local->sqnr, 1) : "-", n.local ? percent(n.local_share()) : "-",
                    fixed(d.cosine, 6), fixed(d.max_error, 1), fixed(d.mean_error, 2),
                    integers ? percent(d.saturated) : "-", integers ? percent(d.used_levels) : "-",
                    fixed(n.a.channel_ratio, 1)});
  }
  return sinter::detail::table(rows, 1);
}

std::string weights(const Comparison& report) {
  std::vector<Row> rows{
      {"weights", "scales", "SQNR dB", "cosine", "output channels", "input channels", "dead", "large biases"}};
  for (const WeightComparison& w : report.weights)
    rows.push_back({w.node,
                    w.scale_max > 0 ? text(short_number(static_cast<double>(w.scale_min)), "..",
                                           short_number(static_cast<double>(w.scale_max)))
                                    : "float",
                    fixed(w.sqnr, 1), fixed(w.cosine, 6), fixed(w.output_ratio, 1), fixed(w.input_ratio, 1),
                    text(w.dead_channels), text(w.bias_limited)});
  return sinter::detail::table(rows, 1);
}

}  // namespace

std::string to_string(const Comparison& report) {
  std::string out = text(report.b, " against ", report.a, ", ", report.images, " images, in the order of the graph\n");
  for (const auto& [name, value] : report.metrics_a)
    out += text(name, ": ", with_digits(value, 4), " in ", report.a, ", ", with_digits(report.metrics_b.at(name), 4),
                " in ", report.b, "\n");
  out += activations(report);
  if (!report.weights.empty()) out += '\n' + weights(report);
  if (!report.only_a.empty()) out += text("only in ", report.a, ": ", joined(report.only_a), "\n");
  if (!report.only_b.empty()) out += text("only in ", report.b, ": ", joined(report.only_b), "\n");
  return out;
}

std::string to_csv(const Comparison& report) {
  Fields names;
  for (const char* column : kColumns) names[column] = column;
  std::string out = csv_row(names);
  for (const NodeComparison& n : report.nodes) out += csv_row(fields_of(n));
  for (const WeightComparison& w : report.weights) out += csv_row(fields_of(w));
  for (const std::string& node : report.only_a) out += csv_row({{"kind", "only in a"}, {"node", node}});
  for (const std::string& node : report.only_b) out += csv_row({{"kind", "only in b"}, {"node", node}});
  return out;
}

void write_csv(const Comparison& report, const std::string& path) {
  const std::string csv = to_csv(report);
  write_file(path, std::as_bytes(std::span(csv)));
}

}  // namespace sinter::quant
