#include "../../nn/progress.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <memory>

using namespace sinter;

namespace {

std::string content(std::FILE* file) {
  std::rewind(file);
  std::string all;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) all += static_cast<char>(c);
  return all;
}

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

TEST_CASE("seconds read as a clock shows them") {
  CHECK(nn::to_time(0) == "0:00");
  CHECK(nn::to_time(42.4) == "0:42");
  CHECK(nn::to_time(59.6) == "1:00");
  CHECK(nn::to_time(3723) == "1:02:03");
  CHECK(nn::to_time(INFINITY) == "?");
}

TEST_CASE("into a file go plain lines, and updates are rare") {
  const std::unique_ptr<std::FILE, Close> file(std::tmpfile());
  {
    nn::ProgressLine line(true, file.get());
    for (int i = 0; i < 100; ++i) line.update([] { return nn::ProgressLine::Fields{"step"}; });
    line.finish({"epoch 1/2", "loss 0.5000"});
  }
  CHECK(content(file.get()) == "epoch 1/2  loss 0.5000\n");
}

TEST_CASE("nothing is shown where nothing is to be") {
  const std::unique_ptr<std::FILE, Close> file(std::tmpfile());
  {
    nn::ProgressLine line(false, file.get());
    line.finish({"epoch"});
  }
  CHECK(content(file.get()).empty());
}
