// One side of bench/compare_torch: runs pieces of work on request, one line in, one line out.
//   float_step 5   ->   81.3 160.2
// Five training steps took 81.3 ms each, and 160.2 ms of processor time each. The work is made, and run a few times to
// warm up, when it is first asked for (or with a count of 0).

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <map>
#include <string>

#include "work.h"

using namespace sinter;

namespace {

constexpr int64_t kBatch = 128;
constexpr int kWarmUp = 5;

const std::map<std::string, std::function<bench::BatchWork(const bench::Model&)>> kWork{
    {"float_step", bench::float_step},
    {"float_inference", bench::float_inference},
    {"qat_step", [](const bench::Model& model) { return bench::qat_step(model); }},
    {"lsq_step", [](const bench::Model& model) { return bench::qat_step(model, "lsq"); }},
    {"pact_step", [](const bench::Model& model) { return bench::qat_step(model, "pact"); }},
    {"validation", bench::validation},
    {"simulator", bench::simulator},
};

double seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

int main() {
  const bench::Model& model = bench::resnet20();
  const data::Batch batch = bench::make_batch(model, kBatch);
  std::map<std::string, bench::BatchWork> ready;
  std::string name;
  int count = 0;
  while (std::cin >> name >> count) {
    try {
      bench::BatchWork& work = ready[name];
      if (!work) {
        work = kWork.at(name)(model);
        for (int i = 0; i < kWarmUp; ++i) work(batch);
      }
      const double wall = seconds(CLOCK_MONOTONIC), processor = seconds(CLOCK_PROCESS_CPUTIME_ID);
      for (int i = 0; i < count; ++i) work(batch);
      const double scale = 1e3 / std::max(count, 1);
      std::printf("%.3f %.3f\n", (seconds(CLOCK_MONOTONIC) - wall) * scale,
                  (seconds(CLOCK_PROCESS_CPUTIME_ID) - processor) * scale);
    } catch (const std::exception& error) {
      std::printf("error: %s: %s\n", name.c_str(), error.what());
    }
    if (std::fflush(stdout) != 0) return 1;
  }
}
