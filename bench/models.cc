// Training steps, inference and compilation of whole models, by batch and threads.

#include <map>

#include "measure.h"
#include "work.h"

namespace sinter::bench {

namespace {

// Made once: batches and threads change, and interleaved repetitions come back to each of them.
template <class Make>
auto once(Make make) {
  const auto made = std::make_shared<decltype(make())>();
  return [made, make] {
    if (!*made) *made = make();
    return *made;
  };
}

struct Column {
  std::string section, name;
  bool baseline = false;
  std::function<BatchWork()> make;
};

std::vector<Column> columns(const Model& model) {
  std::vector<Column> all{
      {"training step", "float", true, once([&model] { return float_step(model); })},
      {"inference", "float", true, once([&model] { return float_inference(model); })},
      {"inference", "validation", false, once([&model] { return validation(model); })},
      {"inference", "simulator", false, once([&model] { return simulator(model); })},
  };
  for (const std::string& name : quant::fake_quant_names())
    all.push_back({"training step", name, false, once([&model, name] { return qat_step(model, name); })});
  return all;
}

void add_model(const Model& model) {
  for (const Column& column : columns(model))
    for (const int64_t batch : {1, 16, 128})
      for (const int team : {1, 2})
        add({.section = column.section,
             .row = text(model.name, " batch:", batch, " threads:", team),
             .column = column.name,
             .baseline = column.baseline,
             .make = [=, &model]() -> Work {
               set_threads(team);
               return [work = column.make(), data = make_batch(model, batch)] { work(data); };
             }});
  const auto ready = once([&model] { return trained(model); });
  add({.section = "compile", .row = model.name, .column = "program", .make = [ready]() -> Work {
         return [model = ready()] { bpu::compile(*model); };
       }});
}

}  // namespace

void add_all() {
  for (const Model& model : models()) add_model(model);
}

}  // namespace sinter::bench
