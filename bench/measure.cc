#include "measure.h"

#include <benchmark/benchmark.h>

#include <cstdio>
#include <exception>
#include <iostream>

namespace sinter::bench {

namespace {

void run(benchmark::State& state, const Cell& cell) {
  try {
    const Work work = cell.make();
    work();  // what is made once is not measured
    for ([[maybe_unused]] auto _ : state) work();
  } catch (const std::exception& error) {
    state.SkipWithError(error.what());
    return;
  }
  const auto per_call = [&](const char* name, double count) {
    if (count > 0) state.counters[name] = benchmark::Counter(count, benchmark::Counter::kIsIterationInvariantRate);
  };
  per_call("bytes_per_second", cell.bytes);
  per_call("items_per_second", cell.items);
  if (cell.percent) state.counters["percent"] = cell.percent();
  if (cell.baseline) state.SetLabel("baseline");
}

}  // namespace

void add(Cell cell) {
  const std::string name = cell.section + '/' + cell.row + '/' + cell.column;
  benchmark::RegisterBenchmark(name.c_str(), [cell = std::move(cell)](benchmark::State& state) { run(state, cell); })
      ->UseRealTime()
      ->MeasureProcessCPUTime();
}

}  // namespace sinter::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  sinter::bench::add_all();
  benchmark::RunSpecifiedBenchmarks();
  return std::cout.flush() && std::fflush(stdout) == 0 ? 0 : 1;
}
