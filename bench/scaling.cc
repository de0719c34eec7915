// How the cost of ResNet-20 grows: with batch, width, depth and threads, each on its own.

#include "measure.h"
#include "work.h"

namespace sinter::bench {

namespace {

constexpr int64_t kBatch = 32;
constexpr int kThreads = 1;  // two say little where something else runs as well

void add_row(const std::string& row, const Model& model, int64_t batch, int team) {
  const std::pair<const char*, std::function<BatchWork(const Model&)>> columns[] = {
      {"float step", float_step},
      {"QAT step", [](const Model& m) { return qat_step(m); }},
      {"simulator", simulator},
  };
  for (const auto& [name, make] : columns)
    add({.section = "ResNet-20, else batch:32 threads:1",
         .row = row,
         .column = name,
         .baseline = name == columns[0].first,
         .make = [=, make = make]() -> Work {
           set_threads(team);
           return [work = make(model), data = make_batch(model, batch)] { work(data); };
         }});
}

}  // namespace

void add_all() {
  for (const int64_t batch : {1, 2, 4, 8, 16, 32, 64, 128, 256})
    add_row(text("batch:", batch), resnet20(), batch, kThreads);
  for (const int64_t channels : {8, 16, 32, 64}) {
    const auto make = [channels] { return nn::resnet20({.channels = channels}); };
    add_row(text("width:x", static_cast<double>(channels) / 16), model("", resnet20().image, make), kBatch, kThreads);
  }
  add_row("depth:20", resnet20(), kBatch, kThreads);
  add_row("depth:32", model("", resnet20().image, [] { return nn::resnet32(); }), kBatch, kThreads);
  add_row("depth:56", model("", resnet20().image, [] { return nn::resnet56(); }), kBatch, kThreads);
  for (const int team : {1, 2}) add_row(text("threads:", team), resnet20(), kBatch, team);
}

}  // namespace sinter::bench
