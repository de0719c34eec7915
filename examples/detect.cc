// Detection: a one-stage detector of two levels finds ten kinds of things in scenes; from float training to the integer
// program, with the average precision of every stage. Of the program's six outputs, all accumulators, the thresholds
// are compared as integers, and only what passes is made real.

#include "task.h"

using namespace sinter;

namespace {

std::vector<nn::Detections> by_image(const std::vector<nn::Detection>& all, int64_t images) {
  std::vector<nn::Detections> result;
  for (int64_t image = 0; image < images; ++image) {
    std::vector<float> boxes, scores;
    std::vector<int64_t> classes;
    for (const nn::Detection& d : all) {
      if (d.image != image) continue;
      boxes.insert(boxes.end(), d.box.begin(), d.box.end());
      scores.push_back(static_cast<float>(d.score));
      classes.push_back(d.label);
    }
    const auto count = static_cast<int64_t>(scores.size());
    result.push_back({Tensor::from({count, 4}, boxes), Tensor::from({count}, scores), Tensor::from({count}, classes)});
  }
  return result;
}

// What a program finds, from the integers of its outputs.
std::vector<nn::Detection> detect(const bpu::Simulator& simulator, const Tensor& images,
                                  const nn::DecodeOptions& options = {}) {
  const std::vector<Tensor> integers = simulator.integers({images});
  std::vector<nn::DetectionLevel> levels;
  for (size_t i = 0; i < integers.size(); i += 3) {
    nn::DetectionLevel level;
    level.classes = integers[i].shape();
    const auto reader = [&](size_t output) {
      return [q = integers[output], scale = bpu::OutputScale(simulator.program(), output)](int64_t element) {
        return scale.real(q.data<int32_t>()[element], element % q.size(-1));
      };
    };
    level.logit = reader(i), level.box = reader(i + 1), level.centre = reader(i + 2);
    const bpu::OutputScale scale(simulator.program(), i);
    const int64_t classes = level.classes[3];
    std::vector<int64_t> least;
    for (int64_t c = 0; c < classes; ++c)
      least.push_back(scale.threshold(static_cast<float>(nn::logit(options.score)), c));
    const int32_t* q = integers[i].data<int32_t>();
    for (int64_t k = 0; k < integers[i].elements(); ++k)
      if (q[k] >= least[static_cast<size_t>(k % classes)]) level.survivors.push_back(k);
    levels.push_back(level);
  }
  return nn::decode(levels, options);
}

nn::Metrics precision(std::function<std::vector<nn::Detection>(const nn::Outputs&, const data::Batch&)> found) {
  return {nn::AveragePrecision({
      .decode = [found](const nn::Outputs& y,
                        const data::Batch& batch) { return by_image(found(y, batch), batch.images.size(0)); },
  })};
}

}  // namespace

int main(int argc, char** argv) {
  return examples::task_main(
      argc, argv,
      "Trains a detector on scenes of Fashion-MNIST's things, in float and quantised, and runs it in integers.",
      {.output = "detect.out"}, [](const examples::TaskOptions& o) {
        const examples::Task task{
            .name = "Detector",
            .number = "ap50",
            .loss =
                [](const nn::Outputs& y, const data::Batch& batch) {
                  return nn::detection_loss(y, batch.list("boxes"), batch.list("classes"));
                },
            .metrics = precision([](const nn::Outputs& y, const data::Batch&) { return nn::decode(y); }),
            .of_program =
                [](const bpu::Simulator& simulator) {
                  return precision([&simulator](const nn::Outputs&, const data::Batch& batch) {
                    return detect(simulator, batch.images);
                  });
                },
            .lr = 0.02,
            .qat_lr = 0.001,
            .clip_norm = 10};
        nn::Detector net;
        return examples::run_task(net, task, o);
      });
}
