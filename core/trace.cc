#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <set>

#include "autograd.h"
#include "graph.h"

namespace sinter {

namespace detail {

namespace {

// Where a call was made.
struct Place {
  const TracedModule* module;  // the innermost one that the model lists, or null
  uint64_t run;                // which run of the module
};

// Of traces and runs of modules: never used again, by no thread.
uint64_t next_number() {
  static std::atomic<uint64_t> number{0};
  return ++number;
}

struct Tracer {
  const Traceable& model;
  const uint64_t number = next_number();
  Graph graph;
  std::unordered_map<const Storage*, int> known_parameters;
  std::unordered_map<const Storage*, int> known_constants;
  std::vector<Place> places;  // of the nodes

  explicit Tracer(const Traceable& traced) : model(traced) {
    for (const NamedParameter& parameter : model.parameters) {
      const Storage* storage = Access::storage(parameter.value.tensor()).get();
      if (known_parameters.emplace(storage, static_cast<int>(graph.parameters.size())).second)
        graph.parameters.push_back({parameter.name, parameter.value.share()});
    }
  }
};

struct Scope {
  const void* module;
  uint64_t run;
};

thread_local Tracer* current_tracer = nullptr;
thread_local std::vector<Scope> scopes;

}  // namespace

/// A tensor of a traced model: which value of which trace.
struct Symbol {
  uint64_t trace;
  Operand operand;
};

ModuleScope::ModuleScope(const void* module) { scopes.push_back({module, next_number()}); }
ModuleScope::~ModuleScope() { scopes.pop_back(); }

bool tracing() { return current_tracer != nullptr; }

namespace {

Place current_place(const Tracer& tracer) {
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope)
    if (const auto found = tracer.model.modules.find(scope->module); found != tracer.model.modules.end())
      return {&found->second, scope->run};
  return {nullptr, 0};
}

// A node's name is the path of its module, then the operation; in each run of a module that has none inside, the first
// operation takes the bare path. First and n-th are meant in canonical order: the compiler may choose the order in
// which the operands of an expression are evaluated.
void name_nodes(Tracer& tracer) {
  std::set<uint64_t> begun;
  std::map<std::string, int> counts;
  for (const int index : canonical_order(tracer.graph)) {
    Node& node = tracer.graph.nodes[index];
    const auto& [module, run] = tracer.places[index];
    node.name = node.op->name();
    if (module != nullptr) {
      const bool first = begun.insert(run).second;
      if (!module->path.empty()) node.name = module->leaf && first ? module->path : text(module->path, ".", node.name);
    }
    const int count = ++counts[node.name];
    if (count > 1) node.name += text("#", count);
  }
}

Operand operand_of(Tracer& tracer, const Tensor& tensor, std::string_view op) {
  if (const auto& symbol = Access::symbol(tensor); symbol != nullptr) {
    check(symbol->trace == tracer.number, op, ": a tensor of another trace was used");
    return symbol->operand;
  }
  const Storage* storage = Access::storage(tensor).get();
  if (const auto found = tracer.known_parameters.find(storage);
      found != tracer.known_parameters.end() &&
      tensor.spec() == tracer.graph.parameters[found->second].value.tensor().spec())
    return {Operand::Kind::parameter, found->second};
  if (tensor.requires_grad()) fail_unlisted(tensor, op);
  const auto [found, fresh] = tracer.known_constants.emplace(storage, static_cast<int>(tracer.graph.constants.size()));
  if (fresh) tracer.graph.constants.push_back(tensor);
  check(tracer.graph.constants[found->second].spec() == tensor.spec(), op, ": one constant is used as ",
        tracer.graph.constants[found->second].spec(), " and as ", tensor.spec());
  return {Operand::Kind::constant, found->second};
}

}  // namespace

std::vector<Tensor> record(std::shared_ptr<const Op> op, const std::vector<Tensor>& inputs, const Specs& outputs) {
  Tracer& tracer = *current_tracer;
  Node node;
  for (const Tensor& x : inputs) node.inputs.push_back(operand_of(tracer, x, op->name()));
  tracer.places.push_back(current_place(tracer));
  node.op = std::move(op);
  node.outputs = outputs;
  const int index = static_cast<int>(tracer.graph.nodes.size());
  tracer.graph.nodes.push_back(std::move(node));
  std::vector<Tensor> made;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Operand operand{Operand::Kind::node, index, static_cast<int>(i)};
    made.push_back(Access::make_symbol(std::make_shared<const Symbol>(Symbol{tracer.number, operand}), outputs[i]));
  }
  return made;
}

namespace {

Graph trace_once(const Traceable& model, const Specs& inputs, bool training) {
  check(current_tracer == nullptr, "trace: called while another trace runs");
  Tracer tracer(model);
  tracer.graph.inputs = inputs;
  std::vector<Tensor> x;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Operand operand{Operand::Kind::input, static_cast<int>(i)};
    x.push_back(Access::make_symbol(std::make_shared<const Symbol>(Symbol{tracer.number, operand}), inputs[i]));
  }
  struct Active {
    explicit Active(Tracer* tracer) { current_tracer = tracer; }
    ~Active() { current_tracer = nullptr; }
  };
  std::vector<Tensor> y;
  {
    const Active active(&tracer);
    const TrainingMode mode(training);
    y = model.run(std::move(x));
  }
  check(!y.empty(), "trace: the model returned no tensor");
  for (const Tensor& output : y) {
    check(output.defined(), "trace: the model returned an undefined tensor");
    tracer.graph.outputs.push_back(operand_of(tracer, output, "the result"));
  }
  name_nodes(tracer);
  tracer.graph.canonicalize();
  return std::move(tracer.graph);
}

bool same_values(const Tensor& a, const Tensor& b) {
  return a.spec() == b.spec() &&
         std::memcmp(Access::storage(a)->data(), Access::storage(b)->data(), static_cast<size_t>(a.bytes())) == 0;
}

std::string reader_of(const Graph& graph, const Operand& operand) {
  for (const Node& node : graph.nodes)
    if (std::find(node.inputs.begin(), node.inputs.end(), operand) != node.inputs.end()) return node.name;
  return "the outputs";
}

// What of `b` is not as in `a`; empty when all is.
std::string difference(const Graph& a, const Graph& b) {
  for (size_t i = 0; i < std::min(a.nodes.size(), b.nodes.size()); ++i) {
    const Node &m = a.nodes[i], &n = b.nodes[i];
    if (m.name != n.name || m.op->name() != n.op->name() || m.inputs != n.inputs)
      return text("node ", i, " is ", m.name, " (", m.op->name(), ") in one and ", n.name, " (", n.op->name(),
                  ") in the other");
    const auto fields = m.op->fields(), others = n.op->fields();
    if (fields.size() != others.size()) return text(m.name, " has attributes in one that the other has not");
    for (size_t k = 0; k < fields.size(); ++k)
      if (!(fields[k] == others[k]))
        return text(m.name, " has ", fields[k], " in one and ", others[k], " in the other");
  }
  if (a.nodes.size() != b.nodes.size()) {
    const Node& more = (a.nodes.size() > b.nodes.size() ? a : b).nodes[std::min(a.nodes.size(), b.nodes.size())];
    return text("one has ", a.nodes.size(), " operations, the other ", b.nodes.size(), ", with ", more.name, " (",
                more.op->name(), ")");
  }
  if (!(a.outputs == b.outputs)) return "the outputs differ";
  // Equal operands are equal places in lists of equal length.
  for (size_t i = 0; i < a.parameters.size(); ++i)
    if (a.parameters[i].name != b.parameters[i].name)
      return text("one uses parameter ", a.parameters[i].name, " where the other uses ", b.parameters[i].name);
  for (size_t i = 0; i < a.constants.size(); ++i)
    if (!same_values(a.constants[i], b.constants[i]))
      return text("a constant of shape ", a.constants[i].shape(), " is ", b.constants[i].spec(),
                  " or has other values, in ", reader_of(a, {Operand::Kind::constant, static_cast<int>(i)}));
  return "";
}

}  // namespace
}  // namespace detail

Graph trace(const Traceable& model, const Specs& inputs) {
  check(!inputs.empty(), "trace: no inputs");
  Graph graph = detail::trace_once(model, inputs, false);
  const std::string by_mode = detail::difference(graph, detail::trace_once(model, inputs, true));
  check(by_mode.empty(), "trace: the model differs between evaluation and training: ", by_mode,
        "; expected the same operations in both (dropout and batch normalisation know the mode themselves)");

  const auto batched =
      std::find_if(inputs.begin(), inputs.end(), [](const Spec& spec) { return spec.shape.rank() > 0; });
  if (batched == inputs.end()) return graph;
  const int64_t batch = batched->shape[0];
  Specs larger = inputs;
  for (Spec& spec : larger)
    if (spec.shape.rank() > 0) spec.shape = spec.shape.with(0, spec.shape[0] + 1);
  std::string by_batch;
  try {
    by_batch = detail::difference(graph, detail::trace_once(model, larger, false));
  } catch (const Error& error) {
    by_batch = error.what();
  }
  check(by_batch.empty(), "trace: the model depends on the batch size (first axis ", batch, " or ", batch + 1,
        "): ", by_batch);
  return graph;
}

}  // namespace sinter
