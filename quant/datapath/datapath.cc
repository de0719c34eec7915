#include "datapath.h"

#include <map>

#include "../../core/error.h"
#include "rows.h"
#include "shift.h"
#include "single.h"
#include "two_stage.h"

namespace sinter::quant {

namespace {

struct Registry {
  std::map<std::string, detail::MakeDatapath> makers;
  std::string duplicate;  // an error in a static initialiser could not be caught: it is one at the first look-up
};

// The built-in datapaths are listed here: a linker drops objects of a static library that nobody names.
Registry& registry() {
  static auto& instance = *new Registry{{{"shift", &detail::make_datapath_as<Shift>},
                                         {"single", &detail::make_datapath_as<Single>},
                                         {"two_stage", &detail::make_datapath_as<TwoStage>}},
                                        {}};
  return instance;
}

}  // namespace

void detail::add_datapath(const std::string& name, MakeDatapath make) {
  if (!registry().makers.emplace(name, make).second) registry().duplicate = name;
}

std::vector<std::string> datapath_names() {
  std::vector<std::string> names;
  for (const auto& entry : registry().makers) names.push_back(entry.first);
  return names;
}

DatapathValue make_datapath(const std::string& name, std::span<const Field> fields) {
  check(registry().duplicate.empty(), "datapath '", registry().duplicate, "' was registered twice");
  const auto found = registry().makers.find(name);
  check(found != registry().makers.end(), "datapath '", name,
        "' is unknown, expected one of: ", joined(datapath_names()));
  return found->second(fields);
}

bool operator==(const Datapath& a, const Datapath& b) { return a.name() == b.name() && a.fields() == b.fields(); }

std::string to_string(const Datapath& datapath) {
  std::string numbers;
  for (const Field& field : datapath.fields()) numbers += text(numbers.empty() ? "" : ", ", field);
  return text(datapath.name(), " (", numbers, ")");
}

std::string to_string(const Rescaling& by) {
  const auto times = [](int64_t factor, const char* of) { return factor == 1 ? of : text(factor, " ", of); };
  std::string out = times(by.first, "a");
  if (by.second != 0) out = text("(", out, by.second < 0 ? " - " : " + ", times(std::abs(by.second), "b"), ")");
  if (by.pre != 0) out += text(" >> ", by.pre);
  if (by.m != 1) out += text(" * ", by.m);
  return by.post == 0 ? out : text(out, " >> ", by.post);
}

const char* Datapath::loss(const Rescaling&, int) const { return nullptr; }

void Datapath::check_rescaling(const Rescaling& by, int64_t a_reach, int64_t b_reach) const {
  const char* wrong = fault(by);
  check(wrong == nullptr, to_string(by), ": ", wrong);
  // In double, as the factors of a damaged file may be anything.
  const double sum = std::abs(static_cast<double>(by.first)) * static_cast<double>(a_reach) +
                     std::abs(static_cast<double>(by.second)) * static_cast<double>(b_reach);
  check(sum <= static_cast<double>(limit()), to_string(by), ": the sum may reach ", sum, ", expected at most ", limit(),
        ", which is what the datapath ", name(), " holds");
}

std::unique_ptr<const Rescaler> Datapath::rescaler(Rescalings rescalings) const {
  return plain_rescaler(std::move(rescalings), [this](int64_t a, int64_t b, const Rescaling& by, const Bounds& y) {
    return rescale(a, b, by, y);
  });
}

}  // namespace sinter::quant
