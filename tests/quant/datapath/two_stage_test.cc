#include "../../../quant/datapath/two_stage.h"

#include "../../support.h"
#include "cases.h"

using namespace sinter;

TEST_SUITE_BEGIN("exact");

TEST_CASE("two_stage: ratios, residuals, sums and outputs are those of the witness in Python") {
  std::ifstream csv(test::golden_file("datapath.csv"));
  int64_t count = 0;
  CHECK(test::datapath_failure(csv, count) == "");
  CHECK(count == 3000);
}

TEST_SUITE_END();
