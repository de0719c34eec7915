#include "profiler.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "file.h"
#include "format.h"
#include "table.h"

namespace sinter {

struct Profiler::Spent {
  int64_t calls = 0;
  double seconds = 0, self_seconds = 0;
};

struct Profiler::Recorder {
  struct Event {
    const Work* work;
    double began;
    double duration = -1;  // until it ends
  };

  std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
  double ended = 0;  // the last scope
  std::map<Work, Spent> spent;
  std::deque<Event> events;
  int64_t traced_calls, untraced = 0;
  Scope* innermost = nullptr;
  Recorder* outer = nullptr;

  explicit Recorder(int64_t calls) : traced_calls(calls) {}
  double now() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(); }
};

thread_local Profiler::Recorder* Profiler::current_ = nullptr;

bool Profiler::Scope::recording() { return current_ != nullptr; }

void Profiler::Scope::open(Work work) {
  auto& [key, spent] = *current_->spent.try_emplace(std::move(work)).first;
  if (std::ssize(current_->events) < current_->traced_calls) {
    duration_ = &current_->events.emplace_back(Recorder::Event{&key, 0}).duration;
  } else {
    ++current_->untraced;
  }
  // From here on nothing throws.
  recorder_ = current_;
  spent_ = &spent;
  outer_ = std::exchange(recorder_->innermost, this);
  began_ = recorder_->now();
  if (duration_ != nullptr) recorder_->events.back().began = began_;
}

void Profiler::Scope::close() {
  recorder_->ended = recorder_->now();
  const double seconds = recorder_->ended - began_;
  ++spent_->calls;
  spent_->seconds += seconds;
  spent_->self_seconds += seconds - inner_;
  if (duration_ != nullptr) *duration_ = seconds;
  if (outer_ != nullptr) outer_->inner_ += seconds;
  recorder_->innermost = outer_;
}

Profiler::Profiler(ProfilerOptions options) : recorder_(std::make_unique<Recorder>(options.traced_calls)) {
  recorder_->outer = std::exchange(current_, recorder_.get());
}

Profiler::~Profiler() {
  current_ = recorder_->outer;
  for (Scope* scope = recorder_->innermost; scope != nullptr; scope = scope->outer_) scope->recorder_ = nullptr;
}

double Profiler::seconds() const { return recorder_->ended; }

std::vector<Profiler::Entry> Profiler::entries() const {
  std::map<std::pair<std::string_view, bool>, Entry> by_name;  // a scope may be called as a node is
  double outside = seconds();
  for (const auto& [work, spent] : recorder_->spent) {
    if (spent.calls == 0) continue;
    Entry& entry = by_name[{work.name, work.kind == Kind::scope}];
    Pass& pass = work.kind == Kind::backward ? entry.backward : entry.forward;
    entry.name = work.name;
    pass.calls += spent.calls;
    pass.seconds += spent.seconds;
    pass.self_seconds += spent.self_seconds;
    pass.flops += spent.calls * work.flops;
    pass.bytes += spent.calls * work.bytes;
    outside -= spent.self_seconds;
  }
  std::vector<Entry> entries;
  for (auto& [key, entry] : by_name) entries.push_back(std::move(entry));
  const auto self_seconds = [](const Entry& entry) { return entry.forward.self_seconds + entry.backward.self_seconds; };
  std::stable_sort(entries.begin(), entries.end(),
                   [&](const Entry& a, const Entry& b) { return self_seconds(a) > self_seconds(b); });
  Entry& rest = entries.emplace_back();
  rest.name = "(outside)";
  rest.forward.seconds = rest.forward.self_seconds = outside;
  for (Entry& entry : entries)
    if (seconds() > 0) entry.share = 100 * self_seconds(entry) / seconds();
  return entries;
}

namespace {

double giga_per_second(int64_t amount, double seconds) {
  return seconds > 0 ? 1e-9 * static_cast<double>(amount) / seconds : 0;
}

// Empty where there is nothing to say.
std::string cell(double value, int decimals) { return value == 0 ? "" : with_decimals(value, decimals); }

std::string_view to_string(Profiler::Kind kind) {
  return kind == Profiler::Kind::scope ? "scope" : kind == Profiler::Kind::forward ? "forward" : "backward";
}

}  // namespace

std::string to_string(const Profiler& profiler) {
  std::vector<std::vector<std::string>> rows{
      {"name", "calls", "ms", "GFLOP/s", "backward ms", "GFLOP/s", "MB", "GB/s", "share %"}};
  for (const auto& [name, forward, backward, share] : profiler.entries()) {
    const int64_t bytes = forward.bytes + backward.bytes, calls = std::max(forward.calls, backward.calls);
    rows.push_back({name, calls == 0 ? "" : std::to_string(calls), cell(1e3 * forward.seconds, 2),
                    cell(giga_per_second(forward.flops, forward.seconds), 1), cell(1e3 * backward.seconds, 2),
                    cell(giga_per_second(backward.flops, backward.seconds), 1),
                    cell(1e-6 * static_cast<double>(bytes), 1),
                    cell(giga_per_second(bytes, forward.seconds + backward.seconds), 1), cell(share, 1)});
  }
  rows.push_back({"total", "", cell(1e3 * profiler.seconds(), 2), "", "", "", "", "", "100.0"});
  return detail::table(rows, 1);
}

void Profiler::write_trace(const std::string& path) const {
  using Json = nlohmann::ordered_json;
  const auto microseconds = [](double seconds) { return std::round(1e9 * seconds) / 1e3; };
  std::string out = "[";
  std::string_view separator = "\n";
  const auto append = [&](const Json& event) {
    // Names are the user's: what is no UTF-8 in them becomes a replacement character.
    out.append(separator).append(event.dump(-1, ' ', false, Json::error_handler_t::replace));
    separator = ",\n";
  };
  for (const auto& [work, began, duration] : recorder_->events) {
    if (duration < 0) continue;
    Json args = Json::object();
    if (!work->call.empty()) args["call"] = work->call;
    if (work->bytes > 0) args["bytes"] = work->bytes, args["GB/s"] = giga_per_second(work->bytes, duration);
    if (work->flops > 0) args["GFLOP/s"] = giga_per_second(work->flops, duration);
    append({{"name", work->name},
            {"cat", to_string(work->kind)},
            {"ph", "X"},
            {"ts", microseconds(began)},
            {"dur", microseconds(duration)},
            {"pid", 1},
            {"tid", 1},
            {"args", std::move(args)}});
  }
  if (recorder_->untraced > 0)
    append({{"name", "calls that are not in this trace: " + std::to_string(recorder_->untraced)},
            {"ph", "i"},
            {"s", "g"},
            {"ts", microseconds(recorder_->ended)},
            {"pid", 1},
            {"tid", 1}});
  out += "\n]\n";
  write_file(path, std::as_bytes(std::span(out)));
}

}  // namespace sinter
