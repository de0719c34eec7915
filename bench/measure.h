#pragma once
// What every benchmark program is made of: pieces of work under names that bench/run turns into a table.

#include <functional>
#include <string>

namespace sinter::bench {

using Work = std::function<void()>;

/// One cell of a table, named `section/row/column`. The other columns of its row are compared with the baseline, if
/// there is one.
struct Cell {
  std::string section, row, column;
  bool baseline = false;
  /// Per call, for rates instead of times: bytes gone over, or things done.
  double bytes = 0, items = 0;
  /// Makes the work, untimed, whenever it is to be measured.
  std::function<Work()> make;
  /// Something else to show instead of the time: percent, asked once the work was measured.
  std::function<double()> percent{};
};
void add(Cell cell);

/// The program's cells; `main` is in measure.cc.
void add_all();

}  // namespace sinter::bench
