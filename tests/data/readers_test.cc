// Data sets that are read from files: pictures in folders, with masks and boxes; CIFAR; IDX; tensors in memory.

#include <filesystem>

#include "../../data/cifar.h"
#include "../../data/data_loader.h"
#include "../../data/idx.h"
#include "../../data/picture_dataset.h"
#include "../../data/tensor_dataset.h"
#include "../support.h"
#include "files.h"

using namespace sinter;
using namespace sinter::data;
using test::TemporaryDirectory;

namespace {

// A grey picture of one level.
void picture(const std::string& path, int64_t height, int64_t width, int level) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  write_png(path, Tensor::full({height, width, 1}, level, DType::uint8));
}

}  // namespace

TEST_CASE("a folder of pictures has the classes of its folders, and one size by its transforms") {
  const TemporaryDirectory d;
  picture(d / "cat/b.png", 8, 6, 255);
  picture(d / "cat/a.PNG", 4, 4, 0);
  picture(d / "dog/deep/x.png", 16, 8, 51);
  test::write_file(d / "dog/notes.txt", "no picture");
  const PictureDataset set =
      image_folder(d.path(), {.channels = 1, .mean = {0.5}, .std = {0.5}, .transforms = {letterbox({8, 8})}});
  CHECK(set.size() == 3);
  CHECK(set.classes() == std::vector<std::string>{"cat", "dog"});
  CHECK(set.image_shape() == Shape{8, 8, 1});
  CHECK(set.black() == std::vector<float>{-1});
  CHECK(set.white() == std::vector<float>{1});
  CHECK(set.path(0).ends_with("cat/a.PNG"));
  CHECK(set[0].label == 0);
  CHECK(set[2].label == 1);
  CHECK(set[1].image.at({0, 4, 4, 0}) == 1);
  CHECK(set[1].image.at({0, 4, 0, 0}) == -1);  // beside the picture
  CHECK(set[2].image.at({0, 4, 4, 0}) == doctest::Approx(-0.6));
  std::vector<int64_t> labels;
  for (const auto& batch : DataLoader(set, {.batch = 2, .shuffle = false, .workers = 2}))
    for (const int64_t label : batch.labels.values<int64_t>()) labels.push_back(label);
  CHECK(labels == std::vector<int64_t>{0, 0, 1});
  CHECK(set.take(2).size() == 2);
}

TEST_CASE("a broken picture is an error with its path, or left out and counted") {
  const TemporaryDirectory d;
  picture(d / "a/1.png", 4, 4, 1);
  test::write_file(d / "a/2.png", "this is no picture");
  picture(d / "b/3.png", 4, 4, 3);
  const PictureDataset strict = image_folder(d.path());
  CHECK(strict.size() == 3);
  CHECK_ERROR(strict[1], d / "a/2.png");
  const PictureDataset lenient = image_folder(d.path(), {.skip_broken = true});
  CHECK(lenient.size() == 2);
  REQUIRE(lenient.skipped().size() == 1);
  CHECK(lenient.skipped()[0].find(d / "a/2.png") != std::string::npos);
  CHECK(lenient[1].label == 1);
  CHECK_ERROR(image_folder(d / "nowhere"), "is no folder");
  CHECK_ERROR(image_folder(d / "a"), "has no folders, expected one for each class");
  std::filesystem::create_directories(d / "c");
  CHECK_ERROR(image_folder(d.path()), "/c has no picture (.png, .jpg or .jpeg)");
  CHECK_ERROR(image_folder(d.path(), {.channels = 2}), "/c has no picture");
  std::filesystem::remove(d / "c");
  CHECK_ERROR(image_folder(d.path(), {.channels = 2}), "PictureDataset: channels is 2, expected 1, 3 or 4");
  CHECK_ERROR(image_folder(d.path(), {.std = {0}}), "PictureDataset: std is 0, expected above 0");
}

TEST_CASE("masks lie beside their pictures, and their numbers become classes") {
  const TemporaryDirectory d;
  picture(d / "images/x.png", 2, 3, 10);
  std::filesystem::create_directories(d / "masks");
  write_png(d / "masks/x.png", Tensor::from({2, 3}, std::vector<uint8_t>{0, 7, 255, 7, 0, 0}));
  MaskFolderOptions o{
      .picture = {.channels = 1, .transforms = {horizontal_flip(1)}}, .classes = {"no", "yes"}, .values = {0, 7}};
  const PictureDataset set = mask_folder(d / "images", d / "masks", o);
  CHECK_SAME(set[0]["mask"], Tensor::from({2, 3}, std::vector<int64_t>{-100, 1, 0, 0, 0, 1}));
  o.ignored = -1;
  CHECK_ERROR(mask_folder(d / "images", d / "masks", o), "masks/x.png: pixel (0,2) is 255, which is no class");
  write_png(d / "masks/x.png", Tensor::zeros({2, 2}, DType::uint8));
  CHECK_ERROR(mask_folder(d / "images", d / "masks", o), "masks/x.png: is 2x2, its picture 2x3");
  std::filesystem::remove(d / "masks/x.png");
  CHECK_ERROR(mask_folder(d / "images", d / "masks", o), "images/x.png has no mask");
}

TEST_CASE("boxes are read from a file in COCO's form") {
  const TemporaryDirectory d;
  picture(d / "pictures/one.png", 10, 20, 0);
  picture(d / "pictures/two.png", 10, 10, 0);
  const std::string good = R"({"images": [{"id": 5, "file_name": "one.png", "height": 10, "width": 20},
    {"id": 3, "file_name": "two.png", "height": 10, "width": 10}],
    "categories": [{"id": 9, "name": "cup"}, {"id": 2, "name": "hat"}],
    "annotations": [{"image_id": 5, "category_id": 9, "bbox": [1, 2.5, 3, 4]},
      {"image_id": 5, "category_id": 2, "bbox": [15, 0, 30, 4], "iscrowd": 1},
      {"image_id": 5, "category_id": 2, "bbox": [1, 1, 0, 4]}]})";
  const std::string path = test::write_file(d / "boxes.json", good);
  const PictureDataset set = coco(path, d / "pictures", {.channels = 1, .transforms = {horizontal_flip(1)}});
  CHECK(set.classes() == std::vector<std::string>{"hat", "cup"});
  const Sample s = set[0];
  CHECK_SAME(s.list("boxes"), Tensor::from({2, 4}, {16, 2.5f, 19, 6.5f, 0, 0, 5, 4}));
  CHECK_SAME(s.list("classes"), Tensor::from({2}, std::vector<int64_t>{1, 0}));
  CHECK_SAME(s.list("box_crowd"), Tensor::from({2}, std::vector<int64_t>{0, 1}));
  CHECK(set[1].list("boxes").shape() == Shape{0, 4});

  const auto fault = [&](const std::string& from, const std::string& to, const std::string& expected) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    test::write_file(path, text);
    CHECK_ERROR(coco(path, d / "pictures"), path + ": " + expected);
  };
  fault("{\"images\"", "\"images\"", "is no JSON");
  fault("\"images\"", "\"pictures\"", "has no \"images\"");
  fault("\"image_id\": 5", "\"image_id\": 4", "annotations[0]: there is no image 4");
  fault("\"category_id\": 9", "\"category_id\": 1", "annotations[0]: there is no category 1");
  fault("[1, 2.5, 3, 4]", "[1, 2.5, 3]", "annotations[0]: \"bbox\" is not four numbers x, y, width, height");
  fault("[1, 2.5, 3, 4]", "[1, 2.5, -3, 4]", "annotations[0]: its box is -3 wide and 4 high");
  fault("\"id\": 2", "\"id\": 9", "categories[1]: its id stands twice");
  fault("\"one.png\"", "\"../one.png\"", "images[0]: its file \"../one.png\" is not within the folder");
  fault("\"id\": 5", "\"id\": \"5\"", "images[0]: \"id\" is no integer");
  std::string text = good;
  text.replace(text.find("\"height\": 10"), 12, "\"height\": 11");
  test::write_file(path, text);
  CHECK_ERROR(coco(path, d / "pictures"), "one.png: is 10x20, " + path + " says 11x20");
}

TEST_CASE("CIFAR's binary files are read, planes as pixels") {
  const TemporaryDirectory d;
  const auto record = [](const std::string& labels, char r, char g, char b) {
    return labels + std::string(1024, r) + std::string(1024, g) + std::string(1024, b);
  };
  for (int i = 1; i <= 5; ++i)
    test::write_file(d / text("data_batch_", i, ".bin"), record({static_cast<char>(i)}, 10, 20, static_cast<char>(i)));
  test::write_file(d / "test_batch.bin", record("\x09", 1, 2, 3) + record(std::string(1, '\0'), 4, 5, 6));
  const ImageDataset train = cifar10("train", d.path(), {.mean = {0}, .std = {1.0 / 255}}),
                     test = cifar10("test", d.path(), {.mean = {0}, .std = {1.0 / 255}});
  CHECK(train.size() == 5);
  CHECK(train.image_shape() == Shape{32, 32, 3});
  CHECK(train.label(2) == 3);
  CHECK(train[2].image.at({0, 31, 7, 2}) == doctest::Approx(3));
  CHECK(test[1].image.at({0, 0, 0, 1}) == doctest::Approx(5));
  CHECK(test.classes()[9] == "truck");
  test::write_file(d / "test_batch.bin", record("\x0a", 1, 2, 3));
  CHECK_ERROR(cifar10("test", d.path()), "test_batch.bin: label 10 of image 0 is outside 0..9");
  test::write_file(d / "test_batch.bin", "cut");
  CHECK_ERROR(cifar10("test", d.path()), "test_batch.bin: has 3 bytes, expected a multiple of 3073, 1 for the label");
  CHECK_ERROR(cifar10("all", d.path()), "cifar10: unknown split \"all\" (known: train, test)");
  test::write_file(d / "train.bin", record("\x07\x63", 1, 2, 3));
  CHECK(cifar100("train", d.path()).label(0) == 99);
  CHECK(cifar100("train", d.path(), {.coarse = true}).label(0) == 7);
  test::write_file(d / "fine_label_names.txt", "apple\n");
  CHECK_ERROR(cifar100("train", d.path()), "fine_label_names.txt: names 1 classes, expected 100");
}

TEST_CASE("IDX files of one's own are a dataset") {
  const TemporaryDirectory d;
  const std::string images = test::write_file(d / "images", test::idx(8, {2, 1, 2}, "\1\2\3\4"));
  const std::string labels = test::write_file(d / "labels", test::gzip(test::idx(8, {2}, std::string("\1\0", 2))));
  const ImageDataset set = idx_images(images, labels, {.std = {1.0 / 255}, .classes = {"a", "b"}});
  CHECK(set.image_shape() == Shape{1, 2, 1});
  CHECK(set[1].image.at({0, 0, 1, 0}) == doctest::Approx(4));
  CHECK(set[0].label == 1);
  CHECK_ERROR(idx_images(images, labels, {.classes = {"a"}}), labels + ": label 1 of image 0 is outside 0..0");
  CHECK_ERROR(idx_images(labels, labels), "holds uint8 [2], expected uint8 [N,H,W] or [N,H,W,C]");
  test::write_file(d / "three", test::idx(8, {3}, "\1\1\1"));
  CHECK_ERROR(idx_images(images, d / "three"), "three: holds 3 labels, but ");
}

TEST_CASE("tensors in memory are a dataset with all that belongs to them") {
  const Tensor images = test::normal({3, 2, 2, 1});
  const TensorDataset set(images,
                          {.labels = Tensor::from({3}, std::vector<int64_t>{2, 0, 1}),
                           .targets = {{"value", Tensor::from({3, 2}, {1, 2, 3, 4, 5, 6})}},
                           .lists = {{"boxes", {Tensor::zeros({1, 4}), Tensor::zeros({0, 4}), Tensor::zeros({2, 4})}}},
                           .classes = {"a", "b", "c"}});
  const Sample s = set[1];
  CHECK(s.image.at({0, 1, 0, 0}) == images.at({1, 1, 0, 0}));
  CHECK(s.label == 0);
  CHECK_SAME(s["value"], Tensor::from({2}, {3, 4}));
  CHECK(s.list("boxes").shape() == Shape{0, 4});
  const Batch batch = *DataLoader(set, {.batch = 3, .shuffle = false}).begin();
  CHECK_SAME(batch["value"], Tensor::from({3, 2}, {1, 2, 3, 4, 5, 6}));
  CHECK_ERROR(TensorDataset(Tensor::zeros({3, 2, 2})),
              "TensorDataset: images are float32 [3,2,2], expected float32 [N,H,W,C]");
  CHECK_ERROR(TensorDataset(images, {.labels = Tensor::zeros({2}, DType::int64)}),
              "TensorDataset: labels are int64 [2], expected int64 [3]");
  CHECK_ERROR(TensorDataset(images, {.targets = {{"mask", Tensor::zeros({2, 2})}}}),
              "TensorDataset: the target \"mask\" is float32 [2,2], expected [3,...]");
  CHECK_ERROR(TensorDataset(images, {.lists = {{"boxes", {Tensor()}}}}),
              "TensorDataset: the list \"boxes\" has 1 tensors for 3 images");
}
