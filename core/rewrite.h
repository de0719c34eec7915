#pragma once
// Private: what passes over a graph share.

#include <set>

#include "graph.h"

namespace sinter {

/// A graph while its nodes are fused: indices stay as they are until `finish`.
class Rewriter {
 public:
  explicit Rewriter(Graph graph) : graph(std::move(graph)) {}

  /// Whether one reader, once, sees the node, and it is no output.
  bool read_once(int node) const;
  /// The only reader of a node that `read_once` holds for.
  int reader(int node) const;
  /// What read `node` reads `target` instead, which takes its name and aliases as aliases.
  void absorb(int node, int target);
  bool absorbed(int node) const { return absorbed_.count(node) > 0; }
  /// The graph in canonical order, without what was absorbed.
  Graph finish();

  Graph graph;

 private:
  std::set<int> absorbed_;
};

}  // namespace sinter
