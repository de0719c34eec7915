// Segmentation: a U-Net says of every pixel of a scene which of ten things it belongs to, or to none; from float
// training to the integer program, with the mean IoU of every stage.

#include "task.h"

using namespace sinter;

int main(int argc, char** argv) {
  return examples::task_main(
      argc, argv,
      "Trains a U-Net on scenes of Fashion-MNIST's things, in float and quantised, and runs it in integers.",
      {.output = "segment.out"}, [](const examples::TaskOptions& o) {
        const examples::Task task{
            .name = "U-Net",
            .number = "miou",
            .loss = [](const nn::Outputs& y, const data::Batch& batch) { return cross_entropy(y[0], batch["mask"]); },
            .metrics = {nn::MeanIoU({.target = "mask"})},
            .lr = 0.1,
            .qat_lr = 0.005};
        nn::UNet net;
        return examples::run_task(net, task, o);
      });
}
