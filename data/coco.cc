#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "../core/file.h"
#include "../core/within.h"
#include "picture_dataset.h"

namespace sinter::data {

namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxJson = int64_t{1} << 31;

const Json& field(const Json& object, const char* name) {
  check(object.is_object() && object.contains(name), "has no \"", name, "\"");
  return object.at(name);
}

int64_t integer(const Json& object, const char* name) {
  const Json& value = field(object, name);
  check(value.is_number_integer(), "\"", name, "\" is no integer");
  return value.get<int64_t>();
}

std::string string(const Json& object, const char* name) {
  const Json& value = field(object, name);
  check(value.is_string(), "\"", name, "\" is no text");
  return value.get<std::string>();
}

// Calls f with every entry of a list; errors say which.
template <class F>
void each(const Json& file, const char* name, const F& f) {
  const Json& list = field(file, name);
  check(list.is_array(), "\"", name, "\" is no list");
  for (size_t i = 0; i < list.size(); ++i) within(text(name, "[", i, "]"), [&] { f(list[i]); });
}

struct Annotations {
  int64_t height, width;
  std::vector<float> boxes;
  std::vector<int64_t> classes, crowds;
};

}  // namespace

PictureDataset coco(const std::string& json, const std::string& folder, const PictureDatasetOptions& options) {
  const std::vector<std::byte> bytes = read_file(json, kMaxJson);
  const auto* begin = reinterpret_cast<const char*>(bytes.data());
  const Json file = Json::parse(begin, begin + bytes.size(), nullptr, false);
  std::vector<std::string> paths, classes;
  std::vector<Annotations> all;
  within(json, [&] {
    check(!file.is_discarded(), "is no JSON");
    std::map<int64_t, std::string> names;
    each(file, "categories", [&](const Json& category) {
      check(names.emplace(integer(category, "id"), string(category, "name")).second, "its id stands twice");
    });
    std::map<int64_t, int64_t> label;
    for (const auto& [id, name] : names) {
      label[id] = static_cast<int64_t>(classes.size());
      classes.push_back(name);
    }
    std::map<int64_t, size_t> image;
    each(file, "images", [&](const Json& entry) {
      const std::string name = string(entry, "file_name");
      check(!name.empty() && name[0] != '/' && name.find("..") == std::string::npos, "its file \"", name,
            "\" is not within the folder");
      check(image.emplace(integer(entry, "id"), paths.size()).second, "its id stands twice");
      paths.push_back(folder + "/" + name);
      all.push_back({integer(entry, "height"), integer(entry, "width"), {}, {}, {}});
    });
    each(file, "annotations", [&](const Json& entry) {
      const auto of = image.find(integer(entry, "image_id"));
      check(of != image.end(), "there is no image ", integer(entry, "image_id"));
      const auto cls = label.find(integer(entry, "category_id"));
      check(cls != label.end(), "there is no category ", integer(entry, "category_id"));
      const Json& box = field(entry, "bbox");
      check(box.is_array() && box.size() == 4 &&
                std::all_of(box.begin(), box.end(),
                            [](const Json& v) { return v.is_number() && std::isfinite(v.get<double>()); }),
            "\"bbox\" is not four numbers x, y, width, height");
      const double x = box[0], y = box[1], w = box[2], h = box[3];
      check(w >= 0 && h >= 0, "its box is ", w, " wide and ", h, " high");
      Annotations& a = all[of->second];
      const auto inside = [](double v, int64_t most) {
        return static_cast<float>(std::clamp(v, 0.0, static_cast<double>(most)));
      };
      const std::array<float, 4> corners{inside(x, a.width), inside(y, a.height), inside(x + w, a.width),
                                         inside(y + h, a.height)};
      if (corners[2] <= corners[0] || corners[3] <= corners[1]) return;
      a.boxes.insert(a.boxes.end(), corners.begin(), corners.end());
      a.classes.push_back(cls->second);
      a.crowds.push_back(entry.contains("iscrowd") ? integer(entry, "iscrowd") : 0);
    });
  });
  return {paths,
          [all, json, paths](int64_t index, Sample& sample) {
            const Annotations& a = all[static_cast<size_t>(index)];
            check(sample.image.size(1) == a.height && sample.image.size(2) == a.width,
                  paths[static_cast<size_t>(index)], ": is ", sample.image.size(1), "x", sample.image.size(2), ", ",
                  json, " says ", a.height, "x", a.width);
            const auto count = static_cast<int64_t>(a.classes.size());
            sample.lists["boxes"] = Tensor::from({count, 4}, a.boxes);
            sample.lists["classes"] = Tensor::from({count}, a.classes);
            sample.lists["box_crowd"] = Tensor::from({count}, a.crowds);
          },
          options, classes};
}

}  // namespace sinter::data
