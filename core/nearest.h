#pragma once
// Private: names for the message about one that is not known.

#include <string>
#include <vector>

namespace sinter {

/// `; did you mean 'head'?` where a name is like the given one, else `; there are conv, head and 7 more`, else nothing.
std::string did_you_mean(const std::string& name, const std::vector<std::string>& names);

}  // namespace sinter
