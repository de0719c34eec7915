#include <sinter/sinter.h>

#include <cstdio>

using namespace sinter;

struct Net : nn::Module {
  nn::Conv2d conv{{.in = 1, .out = 4, .kernel = 3, .padding = 1}};
  nn::Linear head{{.in = 4, .out = 10}};
  SINTER_CHILDREN(conv, head)

  Tensor forward(const Tensor& x) const override { return head(mean(relu(conv(x)), {1, 2})); }
};

int main() {
  const Net net;
  const Tensor x = Tensor::zeros({2, 8, 8, 1});
  const Graph graph = trace(net, x);
  std::printf("%s", to_string(graph).c_str());
  return graph(x).shape() == Shape{2, 10} ? 0 : 1;
}
