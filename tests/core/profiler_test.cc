#include "../../core/profiler.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "../../core/file.h"
#include "../../core/ops/arithmetic.h"
#include "../../core/ops/matmul.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/reshape.h"
#include "../../nn/layers/conv2d.h"
#include "../../nn/layers/linear.h"
#include "../comma_locale.h"
#include "../support.h"

using namespace sinter;

namespace {

using test::entries_of;

struct Net : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 4, .kernel = 3, .padding = 1, .bias = false}};
  nn::Linear head{{.in = 4, .out = 5}};
  SINTER_CHILDREN(stem, head)
  Tensor forward(const Tensor& x) const override { return head(mean(relu(stem(x)), {1, 2})); }
};

const Spec kImages{DType::float32, {2, 8, 8, 3}};
constexpr int64_t kStemFlops = 2 * (2 * 8 * 8 * 4) * (3 * 3 * 3);

std::vector<std::string> names(const Profiler& profiler) {
  std::vector<std::string> all;
  for (const Profiler::Entry& entry : profiler.entries()) all.push_back(entry.name);
  std::sort(all.begin(), all.end());
  return all;
}

void spend_some_time() {
  for (int i = 0; i < 100; ++i) relu(Tensor::zeros({100}));
}

using Json = nlohmann::json;

Json trace_of(const Profiler& profiler) {
  const std::string path = "profiler_test.json";
  profiler.write_trace(path);
  const std::vector<std::byte> bytes = read_file(path);
  std::filesystem::remove(path);
  return Json::parse(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

// An operation that always fails, forward or backward.
struct Failing final : Op {
  bool in_forward;
  explicit Failing(bool forward) : in_forward(forward) {}
  std::string_view name() const override { return "failing"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context&) const override {
    if (in_forward) fail("failing: forward");
    y[0].copy_from(x[0]);
  }
  void backward(const Context&, Outputs, Gradients&) const override { fail("failing: backward"); }
};

// An operation made of others.
struct Composed final : Op {
  std::string_view name() const override { return "composed"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context&) const override { y[0].copy_from(relu(x[0])); }
};

}  // namespace

TEST_CASE("a profiler records the nodes of a graph, forward and backward, by name") {
  const Net net;
  const Graph graph = trace(net, Specs{kImages});
  const Tensor x = test::normal(kImages.shape);
  const Profiler profiler;
  for (int i = 0; i < 3; ++i) sum(graph(x)).backward();
  CHECK(names(profiler) == std::vector<std::string>{"(outside)", "head", "mean", "relu", "stem", "sum [2,5] -> []"});
  for (const char* name : {"stem", "relu", "mean", "head"}) {
    const Profiler::Entry entry = entries_of(profiler).at(name);
    CHECK(entry.forward.calls == 3);
    CHECK(entry.backward.calls == 3);
    CHECK(entry.forward.seconds > 0);
    CHECK(entry.backward.seconds > 0);
    CHECK(entry.forward.self_seconds == entry.forward.seconds);
  }
}

TEST_CASE("backward counts the gradients that are wanted: of the weights alone, of both factors") {
  const Net net;
  const Graph graph = trace(net, Specs{kImages});
  Tensor x = test::normal(kImages.shape);
  const auto stem_of_one_pass = [&] {
    const Profiler profiler;
    sum(graph(x)).backward();
    return entries_of(profiler).at("stem");
  };
  const auto alone = stem_of_one_pass();
  x.set_requires_grad(true);
  const auto both = stem_of_one_pass();
  const int64_t images = x.bytes(), weight = 4 * 3 * 3 * 3 * 4, results = 2 * 8 * 8 * 4 * 4;
  CHECK(alone.forward.flops == kStemFlops);
  CHECK(alone.forward.bytes == images + weight + results);
  CHECK(alone.backward.flops == kStemFlops);
  CHECK(alone.backward.bytes == results + (images + weight) + weight);  // what came, what was kept, what was made
  CHECK(both.backward.flops == 2 * kStemFlops);
  CHECK(both.backward.bytes == alone.backward.bytes + images);
}

TEST_CASE("a trace is JSON, whatever the locale") {
  const Profiler profiler;
  relu(Tensor::ones({100}));
  const test::CommaLocale german;
  CHECK(trace_of(profiler).at(0).at("args").at("bytes") == 800);
  CHECK(to_string(profiler).find(',') == to_string(profiler).find(", "));  // of a shape or a list alone
}

TEST_CASE("a view moves no bytes, and multiplies nothing") {
  Tensor x = test::normal({4, 6});
  x.set_requires_grad(true);
  const Profiler profiler;
  sum(reshape(x, {3, 8})).backward();
  const Profiler::Entry entry = entries_of(profiler).at("reshape [4,6] -> [3,8]");
  CHECK(entry.backward.calls == 1);
  CHECK(entry.forward.bytes == 0);
  CHECK(entry.backward.bytes == 0);
  CHECK(entry.forward.flops == 0);
}

TEST_CASE("shares sum to 100 %, though scopes hold each other") {
  const Profiler profiler;
  {
    const Profiler::Scope outer("outer");
    spend_some_time();
    const Profiler::Scope inner("inner");
    spend_some_time();
  }
  spend_some_time();
  double shares = 0, self_seconds = 0;
  for (const Profiler::Entry& entry : profiler.entries()) {
    CHECK(entry.share >= 0);
    shares += entry.share;
    self_seconds += entry.forward.self_seconds;
  }
  CHECK(shares == doctest::Approx(100));
  CHECK(self_seconds == doctest::Approx(profiler.seconds()));
  const auto entries = entries_of(profiler);
  const Profiler::Pass outer = entries.at("outer").forward, inner = entries.at("inner").forward;
  CHECK(outer.seconds > outer.self_seconds + inner.seconds);
}

TEST_CASE("what runs inside an operation is not counted as its node") {
  Graph graph;
  graph.inputs = {{DType::float32, {1, 2}}};
  graph.nodes.push_back({"node", {}, std::make_shared<const Composed>(), {{}}, graph.inputs});
  graph.outputs = {{Operand::Kind::node, 0}};
  const Profiler profiler;
  graph(Tensor::zeros({1, 2}));
  CHECK(names(profiler) == std::vector<std::string>{"(outside)", "node", "relu [1,2] -> [1,2]"});
  const Profiler::Pass node = entries_of(profiler).at("node").forward;
  CHECK(node.seconds > node.self_seconds);
}

TEST_CASE("a scope with the name of a node is an entry of its own") {
  const Profiler profiler;
  const auto operation = [] { return Profiler::Work{.name = "stem", .kind = Profiler::Kind::forward}; };
  { const Profiler::Scope scope("stem"); }
  { const Profiler::Scope scope(operation); }
  CHECK(names(profiler) == std::vector<std::string>{"(outside)", "stem", "stem"});
}

TEST_CASE("a backward whose forward was not recorded is known by its call") {
  const Net net;
  const Graph graph = trace(net, Specs{kImages});
  const Tensor loss = sum(graph(test::normal(kImages.shape)));
  const Profiler profiler;
  loss.backward();
  CHECK(entries_of(profiler).count("stem") == 0);
  const Profiler::Entry entry = entries_of(profiler).at("conv2d [2,8,8,3] [4,3,3,3] -> [2,8,8,4]");
  CHECK(entry.backward.calls == 1);
  CHECK(entry.forward.calls == 0);
}

TEST_CASE("a backward may outlive the graph and the profiler that saw the forward") {
  const Net net;
  auto first = std::make_unique<const Profiler>();
  auto graph = std::make_unique<const Graph>(trace(net, Specs{kImages}));
  const Tensor loss = sum((*graph)(test::normal(kImages.shape)));
  graph.reset();
  first.reset();
  const Profiler second;
  loss.backward();
  CHECK(entries_of(second).at("stem").backward.calls == 1);
}

TEST_CASE("nothing describes itself to no profiler") {
  int described = 0;
  const auto describe = [&] {
    ++described;
    return Profiler::Work{.name = "work"};
  };
  { const Profiler::Scope scope(describe); }
  CHECK(described == 0);
  { const Profiler profiler; }
  { const Profiler::Scope scope(describe); }
  CHECK(described == 0);
  const Profiler profiler;
  { const Profiler::Scope scope(describe); }
  CHECK(described == 1);
}

TEST_CASE("of several profilers the one made last records") {
  const Profiler outer;
  { const Profiler::Scope scope("before"); }
  {
    const Profiler inner;
    { const Profiler::Scope scope("inside"); }
    CHECK(names(inner) == std::vector<std::string>{"(outside)", "inside"});
  }
  { const Profiler::Scope scope("after"); }
  CHECK(names(outer) == std::vector<std::string>{"(outside)", "after", "before"});
}

TEST_CASE("a profiler does not see other threads") {
  const Profiler profiler;
  std::thread([] { spend_some_time(); }).join();
  CHECK(names(profiler) == std::vector<std::string>{"(outside)"});
  CHECK(profiler.seconds() == 0);
  CHECK(profiler.entries()[0].share == 0);
}

TEST_CASE("a scope may outlive its profiler") {
  auto profiler = std::make_unique<Profiler>();
  const Profiler::Scope outer("outer"), inner("inner");
  CHECK(names(*profiler) == std::vector<std::string>{"(outside)"});  // nothing has ended
  profiler.reset();
}

TEST_CASE("operations that throw leave the profiler consistent") {
  Tensor x = test::normal({2, 3});
  x.set_requires_grad(true);
  const Profiler profiler;
  CHECK_ERROR(call(Failing(true), x), "failing: forward");
  CHECK_ERROR(sum(call(Failing(false), x)).backward(), "failing: backward");
  { const Profiler::Scope scope("after"); }
  const Profiler::Entry failing = entries_of(profiler).at("failing [2,3] -> [2,3]");
  CHECK(failing.forward.calls == 2);
  CHECK(failing.backward.calls == 1);
  CHECK(failing.forward.self_seconds == failing.forward.seconds);  // what came after was inside of nothing
  double shares = 0;
  for (const Profiler::Entry& entry : profiler.entries()) shares += entry.share;
  CHECK(shares == doctest::Approx(100));
}

TEST_CASE("a node that cannot run does not name the next operation") {
  Graph graph;
  graph.inputs = {{DType::float32, {1, 2}}};
  graph.nodes.push_back({"node", {}, std::make_shared<const ops::Matmul>(), {{}, {}}, graph.inputs});
  graph.outputs = {{Operand::Kind::node, 0}};
  const Profiler profiler;
  CHECK_ERROR(graph(Tensor::zeros({1, 2})), "(in node)");
  relu(Tensor::zeros({2}));
  CHECK(names(profiler) == std::vector<std::string>{"(outside)", "relu [2] -> [2]"});
}

TEST_CASE("the table has rates that follow from time, multiplications and bytes") {
  const Tensor a = test::normal({64, 64}), b = test::normal({64, 64});
  const Profiler profiler;
  matmul(a, b);
  const auto entry = profiler.entries()[0];
  REQUIRE(entry.name == "matmul [64,64] [64,64] -> [64,64]");
  CHECK(entry.forward.flops == 2 * 64 * 64 * 64);
  CHECK(entry.forward.bytes == 3 * 64 * 64 * 4);
  const std::string table = to_string(profiler);
  const auto fixed = [](double value, int decimals) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, " %.*f ", decimals, value);
    return std::string(buffer);
  };
  const std::string line = table.substr(table.find("matmul"), table.find("(outside)") - table.find("matmul"));
  CHECK(line.find(fixed(1e3 * entry.forward.seconds, 2)) != std::string::npos);
  CHECK(line.find(fixed(1e-9 * 2 * 64 * 64 * 64 / entry.forward.seconds, 1)) != std::string::npos);
  CHECK(line.find(fixed(1e-9 * 3 * 64 * 64 * 4 / entry.forward.seconds, 1)) != std::string::npos);
  CHECK(table.find("total") != std::string::npos);
}

TEST_CASE("a trace is JSON in which what runs inside lies inside") {
  const Tensor a = test::normal({8, 8});
  const Profiler profiler;
  {
    const Profiler::Scope scope("step");
    matmul(a, a);
  }
  const Profiler::Scope open("not ended");
  const Json trace = trace_of(profiler);
  REQUIRE(trace.size() == 2);
  const Json &step = trace[0], &product = trace[1];
  CHECK(step["name"] == "step");
  CHECK(step["cat"] == "scope");
  CHECK(step["ph"] == "X");
  CHECK(product["cat"] == "forward");
  CHECK(product["ts"].get<double>() >= step["ts"].get<double>());
  CHECK(product["ts"].get<double>() + product["dur"].get<double>() <=
        step["ts"].get<double>() + step["dur"].get<double>() + 0.002);  // rounded to nanoseconds
  CHECK(product["args"]["call"] == "matmul [8,8] [8,8] -> [8,8]");
  CHECK(product["args"]["bytes"] == 3 * 8 * 8 * 4);
  const double dur = product["dur"];
  CHECK(product["args"]["GFLOP/s"].get<double>() == doctest::Approx(2e-3 * 8 * 8 * 8 / dur).epsilon(0.01));
}

TEST_CASE("names in a trace may hold any character") {
  const std::string quoted = "a \"b\" \\ \n \t \x01 ü", broken = "no UTF-8: \xff";
  const Profiler profiler;
  { const Profiler::Scope scope(quoted); }
  { const Profiler::Scope scope(broken); }
  const Json trace = trace_of(profiler);
  REQUIRE(trace.size() == 2);
  CHECK(trace[0]["name"] == quoted);
  CHECK(trace[1]["name"] == "no UTF-8: \xef\xbf\xbd");
}

TEST_CASE("a trace of nothing is an empty array") {
  const Profiler profiler;
  CHECK(trace_of(profiler).empty());
}

TEST_CASE("a long trace says what it leaves out; the entries count all") {
  const Profiler profiler({.traced_calls = 5});
  for (int i = 0; i < 12; ++i) const Profiler::Scope scope("work");
  CHECK(entries_of(profiler).at("work").forward.calls == 12);
  const Json trace = trace_of(profiler);
  REQUIRE(trace.size() == 6);
  CHECK(trace.back()["name"] == "calls that are not in this trace: 7");
}

TEST_CASE("a trace that cannot be written is one error") {
  const Profiler profiler;
  CHECK_ERROR(profiler.write_trace("no/such/folder/trace.json"), "no/such/folder/trace.json");
}
