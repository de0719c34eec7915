#include "picture_files.h"

#include <algorithm>
#include <filesystem>

#include "../core/error.h"

namespace sinter::data {

namespace {

namespace fs = std::filesystem;

// Calls f with every entry. An unreadable folder is an Error, not a shorter dataset.
template <class Iterator, class F>
void each(const std::string& folder, const char* what, const F& f) {
  std::error_code error;
  check(fs::is_directory(folder, error), what, ": ", folder, " is no folder");
  Iterator it(folder, error);
  for (; !error && it != Iterator(); it.increment(error)) f(*it);
  check(!error, what, ": ", folder, ": ", error.message());
}

bool is_picture(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c; });
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg";
}

}  // namespace

std::vector<std::string> picture_files(const std::string& folder, const char* what) {
  std::vector<std::string> paths;
  each<fs::recursive_directory_iterator>(folder, what, [&](const fs::directory_entry& entry) {
    if (!entry.is_directory() && is_picture(entry.path())) paths.push_back(entry.path().string());
  });
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::vector<std::string> folders_of(const std::string& folder, const char* what) {
  std::vector<std::string> names;
  each<fs::directory_iterator>(folder, what, [&](const fs::directory_entry& entry) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  });
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace sinter::data
