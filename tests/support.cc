#include "support.h"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <fstream>
#include <latch>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "../core/onednn.h"
#include "../core/parallel.h"
#include "../core/random.h"
#include "../core/warning.h"

namespace sinter::test {

namespace {
// Most tests calibrate with a batch or two, of which the library warns.
[[maybe_unused]] const WarningHandler loud = set_warning_handler([](const std::string&) {});
}  // namespace

namespace {

using Json = nlohmann::ordered_json;

float to_float(const Json& value) {
  if (!value.is_string()) return static_cast<float>(value.get<double>());
  const auto word = value.get<std::string>();  // JSON has no such numbers
  if (word == "nan") return std::numeric_limits<float>::quiet_NaN();
  if (word == "inf") return std::numeric_limits<float>::infinity();
  if (word == "-inf") return -std::numeric_limits<float>::infinity();
  fail("value \"", word, "\" is no number");
}

template <class T>
Tensor integers(const Shape& shape, const Json& data) {
  return Tensor::from(shape, data.get<std::vector<T>>());
}

Tensor to_tensor(const Json& json) {
  const auto sizes = json.at("shape").get<std::vector<int64_t>>();
  const Shape shape{std::span<const int64_t>(sizes)};
  const auto dtype = json.value("dtype", "float32");
  const Json& data = json.at("data");
  if (dtype == "float32") {
    std::vector<float> values;
    for (const Json& value : data) values.push_back(to_float(value));
    return Tensor::from(shape, values);
  }
  if (dtype == "int64") return integers<int64_t>(shape, data);
  if (dtype == "int32") return integers<int32_t>(shape, data);
  if (dtype == "int16") return integers<int16_t>(shape, data);
  if (dtype == "int8") return integers<int8_t>(shape, data);
  if (dtype == "uint8") return integers<uint8_t>(shape, data);
  fail("dtype \"", dtype, "\" is unknown");
}

NamedTensors to_tensors(const Json& json) {
  NamedTensors tensors;
  for (const auto& [name, value] : json.items()) tensors.emplace_back(name, to_tensor(value));
  return tensors;
}

Field::Value to_value(const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  return json.get<std::vector<int64_t>>();
}

const Tensor* find(const NamedTensors& tensors, const std::string& name) {
  for (const auto& [key, tensor] : tensors)
    if (key == name) return &tensor;
  return nullptr;
}

const Tensor& get(const GoldenCase& c, const NamedTensors& tensors, const char* kind, const std::string& name) {
  const Tensor* tensor = find(tensors, name);
  check(tensor != nullptr, "golden case \"", c.name, "\" has no ", kind, " \"", name, "\"");
  return *tensor;
}

std::string index_text(const Shape& shape, int64_t flat) {
  std::vector<int64_t> index(static_cast<size_t>(shape.rank()));
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    index[static_cast<size_t>(axis)] = flat % shape[axis];
    flat /= shape[axis];
  }
  std::string out = "[";
  for (const int64_t i : index) out += text(out.size() > 1 ? "," : "", i);
  return out + "]";
}

// Calls report(index) for the elements that differ; returns their number.
template <class T, class Same, class Report>
int64_t compare(const Tensor& actual, const Tensor& expected, const Same& same, const Report& report) {
  const T *a = actual.data<T>(), *e = expected.data<T>();
  int64_t count = 0;
  for (int64_t i = 0; i < actual.elements(); ++i) {
    if (same(a[i], e[i])) continue;
    if (count++ < 3) report(i, text(a[i]), text(e[i]));
  }
  return count;
}

Tensor random_like(const Tensor& y, uint64_t seed) { return normal(y.shape(), seed); }

struct Outcome {
  Tensor y;
  std::vector<Tensor> gradients;  // undefined where none is wanted
};

// f and its gradients for `seed`, with respect to the float32 inputs of which `wanted` holds.
template <class Wanted, class Seed>
Outcome run(const TensorFunction& f, const std::vector<Tensor>& x, const Wanted& wanted, const Seed& seed) {
  std::vector<Tensor> leaves;
  for (size_t i = 0; i < x.size(); ++i) {
    leaves.push_back(x[i].clone());
    if (x[i].dtype() == DType::float32 && wanted(i)) leaves.back().set_requires_grad(true);
  }
  Outcome outcome;
  outcome.y = f(leaves);
  outcome.gradients.resize(x.size());
  if (!outcome.y.requires_grad()) return outcome;
  outcome.y.backward(seed(outcome.y));
  for (size_t i = 0; i < x.size(); ++i)
    if (leaves[i].requires_grad()) outcome.gradients[i] = leaves[i].grad();
  return outcome;
}

const auto kAll = [](size_t) { return true; };

double projected(const TensorFunction& f, const std::vector<Tensor>& x, const Tensor& weights) {
  const NoGrad no_grad;
  const Tensor y = f(x);
  const float *values = y.data<float>(), *w = weights.data<float>();
  double sum = 0;
  for (int64_t i = 0; i < y.elements(); ++i) sum += static_cast<double>(values[i]) * w[i];
  return sum;
}

// (f(x + h) - f(x - h)) / 2h at two steps, extrapolated to zero (Richardson), which leaves an error of h^4.
double slope(const TensorFunction& f, std::vector<Tensor>& x, size_t input, int64_t element, const Tensor& weights,
             double step) {
  const auto at = [&](double h) {
    const float before = x[input].data<float>()[element];
    const float above = static_cast<float>(before + h), below = static_cast<float>(before - h);
    // Every write takes the pointer again: reordered weights are kept until their tensor's version changes.
    const auto write = [&](float value) { x[input].mutable_data<float>()[element] = value; };
    write(above);
    const double high = projected(f, x, weights);
    write(below);
    const double low = projected(f, x, weights);
    write(before);
    return (high - low) / (static_cast<double>(above) - below);
  };
  return (4 * at(step / 2) - at(step)) / 3;
}

}  // namespace

template <class T>
T GoldenCase::attribute(const std::string& key) const {
  for (const Field& field : attributes) {
    if (field.name != key) continue;
    if (const T* value = std::get_if<T>(&field.value)) return *value;
    if constexpr (std::is_same_v<T, double>)
      if (const auto* value = std::get_if<int64_t>(&field.value)) return static_cast<double>(*value);
    fail("golden case \"", name, "\": attribute ", field, " has another type than was asked for");
  }
  fail("golden case \"", name, "\" has no attribute \"", key, "\"");
}
template bool GoldenCase::attribute(const std::string&) const;
template int64_t GoldenCase::attribute(const std::string&) const;
template double GoldenCase::attribute(const std::string&) const;
template std::string GoldenCase::attribute(const std::string&) const;
template std::vector<int64_t> GoldenCase::attribute(const std::string&) const;

const Tensor& GoldenCase::input(const std::string& key) const { return get(*this, inputs, "input", key); }
const Tensor& GoldenCase::output(const std::string& key) const { return get(*this, outputs, "output", key); }
const Tensor& GoldenCase::gradient(const std::string& key) const { return get(*this, gradients, "gradient", key); }

std::string golden_file(const std::string& name) { return text(SINTER_GOLDEN_DIR, "/", name); }

std::vector<GoldenCase> golden(const std::string& area) {
  const std::string path = golden_file(area + ".json");
  std::ifstream file(path);
  check(file.good(), path, ": cannot be read");
  std::vector<GoldenCase> cases;
  try {
    for (const Json& json : Json::parse(file)) {
      GoldenCase& c = cases.emplace_back();
      c.name = json.at("name").get<std::string>();
      for (const auto& [name, value] : json.at("attributes").items()) c.attributes.push_back({name, to_value(value)});
      c.inputs = to_tensors(json.at("inputs"));
      c.outputs = to_tensors(json.at("outputs"));
      c.gradients = to_tensors(json.at("gradients"));
    }
  } catch (const std::exception& error) {
    fail(path, ": ", error.what());
  }
  check(!cases.empty(), path, ": no cases");
  return cases;
}

std::map<std::string, Profiler::Entry> entries_of(const Profiler& profiler) {
  std::map<std::string, Profiler::Entry> by_name;
  for (Profiler::Entry& entry : profiler.entries())
    if (entry.name != "(outside)") by_name.emplace(entry.name, std::move(entry));
  return by_name;
}

bool allocator_caches() {
  const int64_t before = allocator_stats().cached_bytes;
  { const Storage storage(int64_t{5} << 20); }
  const bool kept = allocator_stats().cached_bytes > before;
  release_cached_memory();
  return kept;
}

Tensor distinct(const Shape& shape, uint64_t seed, double gap) {
  const int64_t count = shape.elements();
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(static_cast<float>((static_cast<double>(i - count / 2) + 0.5) * gap));
  Random random(seed, stream_of("distinct"));
  for (int64_t i = count - 1; i > 0; --i)
    std::swap(values[static_cast<size_t>(i)], values[static_cast<size_t>(random.below(i + 1))]);
  return Tensor::from(shape, values);
}

Tensor normal(const Shape& shape, uint64_t seed, double std) {
  Random random(seed, stream_of("normal"));
  return Tensor::normal(shape, random, std);
}

std::string difference(const Tensor& actual, const Tensor& expected, const Tolerance& tolerance) {
  if (!actual.defined() || !expected.defined())
    return actual.defined() == expected.defined() ? "" : text("got ", actual, ", expected ", expected);
  if (actual.spec() != expected.spec()) return text("got ", actual.spec(), ", expected ", expected.spec());
  std::string found;
  const auto report = [&](int64_t i, const std::string& a, const std::string& e) {
    found += text("; at ", index_text(actual.shape(), i), " got ", a, ", expected ", e);
  };
  const auto close = [&](float a, float e) {
    if (tolerance.rtol == 0 && tolerance.atol == 0) return std::memcmp(&a, &e, sizeof a) == 0;
    if (a == e || (std::isnan(a) && std::isnan(e))) return true;
    return std::isfinite(e) && std::abs(static_cast<double>(a) - e) <= tolerance.atol + tolerance.rtol * std::abs(e);
  };
  const auto equal = [](auto a, auto e) { return a == e; };
  int64_t count = 0;
  switch (actual.dtype()) {
    case DType::float32:
      count = compare<float>(actual, expected, close, report);
      break;
    case DType::int8:
      count = compare<int8_t>(actual, expected, equal, report);
      break;
    case DType::uint8:
      count = compare<uint8_t>(actual, expected, equal, report);
      break;
    case DType::int16:
      count = compare<int16_t>(actual, expected, equal, report);
      break;
    case DType::int32:
      count = compare<int32_t>(actual, expected, equal, report);
      break;
    case DType::int64:
      count = compare<int64_t>(actual, expected, equal, report);
      break;
  }
  return count == 0 ? "" : text(count, " of ", actual.elements(), " elements of ", actual.shape(), " differ", found);
}

std::string golden_failure(const GoldenCase& c, const TensorFunction& f, const Tolerance& tolerance) {
  std::string failure = text("golden case \"", c.name, "\": ");
  try {
    check(c.outputs.size() == 1, c.outputs.size(), " outputs, expected one");
    const auto& [name, expected] = c.outputs[0];
    std::vector<Tensor> x;
    for (const auto& input : c.inputs) x.push_back(input.second);
    const Tensor* seed = find(c.gradients, name);
    check(seed != nullptr || c.gradients.empty(), "no gradient of the output ", name);
    const auto wanted = [&](size_t i) { return find(c.gradients, c.inputs[i].first) != nullptr; };
    const Outcome outcome = run(f, x, wanted, [&](const Tensor&) { return *seed; });
    std::string wrong = difference(outcome.y, expected, tolerance);
    if (!wrong.empty()) return failure + "output " + name + ": " + wrong;
    size_t compared = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      if (!wanted(i)) continue;
      ++compared;
      const std::string& input = c.inputs[i].first;
      wrong = difference(outcome.gradients[i], c.gradient(input), tolerance);
      if (!wrong.empty()) return failure + "gradient of " + input + ": " + wrong;
    }
    check(compared + (seed != nullptr) == c.gradients.size(), "a gradient is of no input");
    return "";
  } catch (const Error& error) {
    return failure + error.what();
  }
}

std::string gradient_failure(const TensorFunction& f, const std::vector<Tensor>& x, const GradientOptions& o) {
  const auto seed = [&](const Tensor& y) { return random_like(y, o.seed); };
  const Outcome all = run(f, x, kAll, seed);
  if (!all.y.requires_grad()) return "the output depends on no float32 input";
  const Tensor weights = seed(all.y);
  std::vector<Tensor> moved;
  for (const Tensor& t : x) moved.push_back(t.clone());
  for (size_t input = 0; input < x.size(); ++input) {
    if (x[input].dtype() != DType::float32) continue;
    const Tensor& gradient = all.gradients[input];
    if (!gradient.defined()) return text("input ", input, " got no gradient");

    const Outcome alone = run(
        f, x, [&](size_t i) { return i == input; }, seed);
    if (const std::string wrong = difference(alone.gradients[input], gradient, 1e-6, 1e-6); !wrong.empty())
      return text("input ", input, " has another gradient alone than with the others: ", wrong);

    const int64_t count = x[input].elements(), checked = std::min(count, o.max_elements);
    for (int64_t k = 0; k < checked; ++k) {
      const int64_t i = k * count / checked;
      const double numeric = slope(f, moved, input, i, weights, o.step);
      const double analytic = gradient.data<float>()[i];
      const double allowed = o.atol + o.rtol * std::max(std::abs(numeric), std::abs(analytic));
      if (!(std::abs(analytic - numeric) <= allowed))
        return text("gradient of input ", input, " ", x[input].shape(), " at ", index_text(x[input].shape(), i), " is ",
                    analytic, ", finite differences give ", numeric, " (seed ", o.seed, ", step ", o.step, ")");
    }
  }
  return "";
}

void at_once(int count, const std::function<void(int)>& f) {
  std::vector<std::exception_ptr> errors(count);
  std::vector<std::thread> threads;
  std::latch all(count);
  for (int i = 0; i < count; ++i)
    threads.emplace_back([&, i] {
      all.arrive_and_wait();
      try {
        f(i);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const auto& error : errors)
    if (error != nullptr) std::rethrow_exception(error);
}

std::string threads_failure(const TensorFunction& f, const std::vector<Tensor>& x) {
  struct Restore {
    int before = threads();
    ~Restore() { set_threads(before); }
  } restore;
  const auto seed = [](const Tensor& y) { return random_like(y, 1); };
  set_threads(1);
  const Outcome one = run(f, x, kAll, seed);
  for (const int count : {2, 3, 4}) {
    set_threads(count);
    const Outcome many = run(f, x, kAll, seed);
    std::string wrong = difference(many.y, one.y, 0, 0);
    for (size_t i = 0; i < x.size() && wrong.empty(); ++i) {
      wrong = difference(many.gradients[i], one.gradients[i], 0, 0);
      if (!wrong.empty()) wrong = text("gradient of input ", i, ": ", wrong);
    }
    if (!wrong.empty()) return text("with ", count, " threads instead of 1: ", wrong);
  }
  return "";
}

std::string steady_failure(const std::function<void(int)>& step, const SteadyOptions& o) {
  struct Fetched {
    int64_t blocks, primitives, faults;
  };
  const auto fetched = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return Fetched{allocator_stats().system_allocations, onednn::primitives_created(), usage.ru_minflt};
  };
  constexpr int64_t kFewFaults = 16;  // a step's tensors are hundreds of pages
  const bool caches = allocator_caches();
  int64_t fewest = std::numeric_limits<int64_t>::max();
  for (int i = 0; i < o.steps; ++i) {
    const Fetched before = fetched();
    step(i);
    const Fetched after = fetched();
    const int64_t blocks = after.blocks - before.blocks, primitives = after.primitives - before.primitives;
    if (i == 0 && caches && blocks == 0) return "the first step fetched no memory, which nobody had before";
    if (i < o.warm_up) continue;
    if (caches && blocks != 0) return text("step ", i, " fetched ", blocks, " blocks from the system");
    if (primitives != 0) return text("step ", i, " made ", primitives, " primitives");
    fewest = std::min(fewest, after.faults - before.faults);
  }
  return caches && fewest > kFewFaults ? text("each step had page faults, at least ", fewest) : std::string();
}

std::string error_failure(const std::function<void()>& f, const std::string& expected) {
  try {
    f();
  } catch (const Error& error) {
    if (std::string(error.what()).find(expected) != std::string::npos) return "";
    return text("the error says \"", error.what(), "\", expected \"", expected, "\" in it");
  }
  return text("no error, expected \"", expected, "\"");
}

}  // namespace sinter::test
