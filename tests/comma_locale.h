#pragma once
// A locale whose numbers have a decimal comma and dots in thousands, for C and C++.

#include <clocale>
#include <cstdlib>
#include <locale>
#include <string>

#include "data/files.h"

namespace sinter::test {

class CommaLocale {
 public:
  CommaLocale() {
    struct Comma final : std::numpunct<char> {
      char do_decimal_point() const override { return ','; }
      char do_thousands_sep() const override { return '.'; }
      std::string do_grouping() const override { return "\3"; }
    };
    // A machine for building has no German; glibc makes it where its sources are.
    const char* name = "de_DE.UTF-8";
    found_ = std::setlocale(LC_ALL, name) != nullptr;
    if (!found_ && std::system(("localedef -i de_DE -f UTF-8 " + (directory_ / name) + " 2> /dev/null").c_str()) == 0) {
      setenv("LOCPATH", directory_.path().c_str(), 1);
      found_ = std::setlocale(LC_ALL, name) != nullptr;
      unsetenv("LOCPATH");
    }
    before_ = std::locale::global(std::locale(std::locale::classic(), new Comma));
    if (found_) std::setlocale(LC_ALL, name);  // which the line above has changed
  }
  ~CommaLocale() {
    std::locale::global(before_);
    std::setlocale(LC_ALL, "C");
  }
  CommaLocale(const CommaLocale&) = delete;
  CommaLocale& operator=(const CommaLocale&) = delete;

  /// Whether C's functions have it, too.
  bool complete() const { return found_; }

 private:
  TemporaryDirectory directory_;
  std::locale before_;
  bool found_ = false;
};

}  // namespace sinter::test
