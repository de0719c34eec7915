#include "../../../nn/optim/schedule.h"

#include "../../support.h"

using namespace sinter;

namespace {

optim::Schedule schedule_of(const test::GoldenCase& c) {
  const auto unit = c.attribute<std::string>("unit") == "epoch" ? optim::Unit::epoch : optim::Unit::step;
  const auto number = [&](const char* key) { return c.attribute<double>(key); };
  const auto milestones = [&](optim::Unit u) {
    return optim::multi_step(
        {.milestones = c.attribute<std::vector<int64_t>>("milestones"), .gamma = number("gamma"), .unit = u});
  };
  if (c.name.starts_with("constant")) return optim::constant();
  if (c.name.starts_with("step_decay"))
    return optim::step_decay({.every = c.attribute<int64_t>("every"), .gamma = number("gamma"), .unit = unit});
  if (c.name.starts_with("multi_step")) return milestones(unit);
  if (c.name.starts_with("cosine")) return optim::cosine({.eta_min = number("eta_min"), .unit = unit});
  if (c.name.starts_with("one_cycle"))
    return optim::one_cycle({.rising = number("rising"),
                             .initial = number("initial"),
                             .last = number("last"),
                             .linear = c.attribute<bool>("linear")});
  const optim::WarmUpOptions options{.steps = c.attribute<int64_t>("warm_up"), .start = number("start")};
  if (c.name == "warm_up constant") return optim::warm_up(options);
  if (c.name == "warm_up cosine") return optim::warm_up(options, optim::cosine({.eta_min = number("eta_min")}));
  REQUIRE(c.name == "warm_up multi_step");
  return optim::warm_up(options, milestones(optim::Unit::step));
}

}  // namespace

TEST_CASE("schedules give PyTorch's rates") {
  for (const auto& c : test::golden("schedule")) {
    const optim::Schedule schedule = schedule_of(c);
    const int64_t steps = c.attribute<int64_t>("steps"), per_epoch = c.attribute<int64_t>("steps_per_epoch");
    std::vector<float> rates;
    for (int64_t step = 0; step < steps; ++step)
      rates.push_back(static_cast<float>(
          schedule(c.attribute<double>("lr"), {.step = step, .steps = steps, .steps_per_epoch = per_epoch})));
    INFO(c.name);
    CHECK_CLOSE(Tensor::from({steps}, rates), c.output("lr"), 1e-5, 1e-7);
  }
}

TEST_CASE("a warm-up may be given in epochs") {
  const auto schedule = optim::warm_up({.epochs = 0.5, .start = 0}, optim::constant());
  CHECK(schedule(1, {.step = 0, .steps = 40, .steps_per_epoch = 20}) == 0);
  CHECK(schedule(1, {.step = 5, .steps = 40, .steps_per_epoch = 20}) == doctest::Approx(0.5));
  CHECK(schedule(1, {.step = 10, .steps = 40, .steps_per_epoch = 20}) == 1);
}

TEST_CASE("schedules describe themselves and refuse what makes no sense") {
  CHECK(optim::cosine().describe() == "cosine(eta_min=0, unit=step)");
  CHECK(optim::warm_up({.steps = 3}, optim::constant()).describe().find("then=constant()") != std::string::npos);
  CHECK_ERROR(optim::step_decay({.every = 0}), "step_decay: every is 0, expected 1 or more");
  CHECK_ERROR(optim::multi_step({.milestones = {3, 3}}), "multi_step: milestones must grow");
  CHECK_ERROR(optim::cosine({.eta_min = -1}), "cosine: eta_min is -1");
  CHECK_ERROR(optim::one_cycle({.rising = 1}), "one_cycle: rising is 1");
  CHECK_ERROR(optim::warm_up({.start = 2}), "warm_up: start is 2");
}
