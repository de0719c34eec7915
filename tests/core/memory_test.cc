// What happens where memory ends.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "../../core/autograd.h"
#include "../../core/ops/arithmetic.h"
#include "../../core/ops/conv2d.h"
#include "../../core/ops/linear.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../support.h"

using namespace sinter;

namespace {

constexpr const char* kMore = "SINTER_TEST_MORE_MEMORY";

// May take so many bytes more than it has.
void limit_memory(int64_t more) {
  int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_AS, &limit) == 0);
  limit.rlim_cur = static_cast<rlim_t>(pages * sysconf(_SC_PAGESIZE) + more);
  REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
}

// Makes primitives of every kind, and keeps all tensors.
void train() {
  Tensor x = test::normal({4, 16, 16, 8});
  Tensor loss = Tensor::zeros({});
  for (const int64_t channels : {8, 16, 24, 32}) {
    Tensor w = test::normal({channels, 3, 3, x.size(3)}), p = test::normal({channels, 1, 1, channels});
    Tensor l = test::normal({5, channels});
    for (Tensor* t : {&w, &p, &l}) t->set_requires_grad(true);
    x = relu(conv2d(relu(conv2d(x, w, {}, {.padding = 1})), p, {}));
    loss = loss + sum(linear(mean(x, {1, 2}), l));
  }
  loss.backward();
}

}  // namespace

TEST_CASE("(in a process of its own) little memory" * doctest::skip()) {
  const char* more = std::getenv(kMore);
  REQUIRE(more != nullptr);
  limit_memory(std::atoll(more));
  try {
    train();
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("out of memory") != std::string::npos);
  }
}

TEST_CASE("where memory ends, also within oneDNN, there is an Error") {
  if (!test::allocator_caches()) return;  // AddressSanitizer's shadow is larger than any limit
  for (int64_t more = 1 << 20; more <= int64_t{128} << 20; more += int64_t{5} << 20) {
    CAPTURE(more);
    const pid_t pid = fork();
    if (pid == 0) {
      setenv(kMore, text(more).c_str(), 1);
      setenv("OMP_NUM_THREADS", "1", 1);  // OpenMP ends the process where it can start no thread
      execl("/proc/self/exe", "test", "--no-skip", "-tc=(in a process of its own) little memory", "--minimal",
            static_cast<char*>(nullptr));
      _exit(127);
    }
    REQUIRE(pid > 0);
    int status = -1;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
}
